"""What README and documents say, done: code runs, recipes fit, commands and options exist, links lead somewhere."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer
import yaml

from stepforge.pipelines.cli import app
from stepforge.pipelines.recipe import make_recipe

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "train/README.md",
             *sorted((ROOT / "cards/docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
BLOCKS = [pytest.param(language, textwrap.dedent(code), id=f"{path.name}-{number}") for path in DOCUMENTS
          for number, (_, language, code) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")))]
NOT_RUN = ("load_dataset", "claim: Claim")  # needs the Hub; a verifier, which its own test runs


@pytest.mark.parametrize(("language", "code"), [block for block in BLOCKS if block.values[0] == "yaml"])
def test_recipe_fits(language, code):
    assert make_recipe(yaml.safe_load(code)).name


@pytest.mark.parametrize(("language", "code"), [block for block in BLOCKS if block.values[0] == "python"])
def test_program_compiles(language, code):
    compile(code, "program.py", "exec")


@pytest.mark.parametrize("code", re.findall(r"\| `(\{.+\})` \|$", (
    ROOT / "cards/docs/how-to/own-samples.md").read_text(encoding="utf-8"), re.MULTILINE))
def test_mapping_fits(code):
    columns = yaml.safe_load(code)
    place = {"paths": ["x.jsonl"], "columns": columns}
    problems = [{"source": "files", **place} if "answer" in columns else {"source": "arithmetic"}]
    samples = {"engine": "recorded", **place} if "answer" not in columns else {"engine": "embedded"}
    make_recipe({"name": "x", "problems": problems, "generators": [{"name": "g", **samples}]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader tries one program after another: what README has run is done when the quick start asks for it."""
    return tmp_path_factory.mktemp("reader")


@pytest.mark.parametrize(("language", "code"), [block for block in BLOCKS if block.values[0] == "python"
                                                and not any(word in block.values[1] for word in NOT_RUN)])
def test_program_runs(language, code, folder):
    (folder / "program.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, text=True, capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout, done.stderr


def options_by_command(command, name=""):
    """`audit export` -> its options, for every command."""
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    by_command = {name: options | {"--help"}}
    for part, inner in getattr(command, "commands", {}).items():
        by_command |= options_by_command(inner, f"{name} {part}".strip())
    return by_command


COMMANDS = options_by_command(typer.main.get_command(app))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(path):
    """`stepforge COMMAND ... --option`, wherever it stands in code."""
    text = path.read_text(encoding="utf-8")
    for first, second, rest in re.findall(r"stepforge (?!-)([a-z]+)(?: ([a-z]+)(?![\w/.]))?((?: [^`\n#]*)?)", text):
        command = f"{first} {second}" if f"{first} {second}" in COMMANDS else first
        if f"`stepforge {first}" not in text and f"    stepforge {first}" not in text:
            continue  # prose
        assert command in COMMANDS, f"there is no command {command!r}"
        if command not in ("train", "evaluate"):  # which pass their options on
            for option in re.findall(r"(?<!\S)(--[a-z_-]+)", rest):
                assert option in COMMANDS[command], f"stepforge {command} has no {option}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in text.splitlines() if line.startswith("#")}
    for target in re.findall(r"\]\(([^)#]*(?:#[\w-]+)?)\)", text):
        file, _, heading = target.partition("#")
        if file.startswith("https:") or "reference/" in file:  # generated; the site's build checks links to it
            continue
        assert not file or (path.parent / file).exists(), target
        assert file or heading in headings, target
