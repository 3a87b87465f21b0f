"""What README and guide say, done: code runs, recipes fit, commands and options exist, links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stepforge.pipelines.recipe import make_recipe

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "cards/docs/guide.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [pytest.param(language, code, id=f"{path.name}-{number}") for path in DOCUMENTS
          for number, (language, code) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")))]


@pytest.mark.parametrize(("language", "code"), [block for block in BLOCKS if block.values[0] == "yaml"])
def test_recipe_fits(language, code):
    assert make_recipe(yaml.safe_load(code)).name


@pytest.mark.parametrize(("language", "code"), [block for block in BLOCKS if block.values[0] == "python"
                                                and "load_dataset" not in block.values[1]])
def test_program_runs(language, code, tmp_path):
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout, done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(path):
    """`stepforge COMMAND ... --option`, wherever it stands in code."""
    text = path.read_text(encoding="utf-8")
    named = {(match[1], option) for match in re.finditer(r"stepforge (?!-)([a-z]+)((?: [^`\n#]*)?)", text)
             for option in [None, *re.findall(r"(--[a-z_-]+)", match[2])]
             if not (match[1] in ("train", "evaluate") and option)}
    helps = {command: subprocess.run([sys.executable, "-m", "stepforge.pipelines.cli", command, "--help"], text=True,
                                     capture_output=True, check=False, env={"COLUMNS": "200"})
             for command in {command for command, _ in named}}
    for command, option in named:
        if option and command != "audit":  # whose options are those of its commands
            assert option in helps[command].stdout, f"stepforge {command} has no {option}"
    assert all(done.returncode == 0 for done in helps.values())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in text.splitlines() if line.startswith("#")}
    for target in re.findall(r"\]\(([^)#]*(?:#[\w-]+)?)\)", text):
        file, _, heading = target.partition("#")
        if file.startswith("https:"):
            continue
        assert not file or (path.parent / file).exists(), target
        assert file or heading in headings, target
