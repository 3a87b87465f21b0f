"""The built wheel, in a clean environment, beside a user's own `train.py` and `cards/`."""

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(1500)
def test_wheel_runs_the_demo_recipe_from_a_users_folder(tmp_path):
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv, "uv is installed by the Makefile"
    links = ["--find-links", os.environ["PIP_FIND_LINKS"]] if os.environ.get("PIP_FIND_LINKS") else []
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".venv*", "build", ".git", "runs", "releases", "*.egg-info", ".mypy_cache")
    shutil.copytree(ROOT, source, ignore=ignored)
    run(uv, "build", "--wheel", "--python", sys.executable, "--out-dir", str(tmp_path / "dist"), ".", cwd=source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {"stepforge/py.typed", "stepforge/pipelines/starters/own.yaml.jinja",
            "stepforge/train/recipes/tiny_sft.yaml",
            "stepforge/pipelines/inference/tiny/model.safetensors"} <= packed
    run(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv"), cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", str(python), *links, "-c", str(ROOT / "constraints.txt"),
        f"{wheel}[embedded]", cwd=tmp_path)
    home = tmp_path / "home"
    (home / "cards").mkdir(parents=True)
    (home / "cards" / "__init__.py").write_text("raise RuntimeError('cards of the user were imported')")
    (home / "train.py").write_text("raise RuntimeError('train of the user was imported')")
    stepforge = str(python.parent / "stepforge")
    recipe = run(stepforge, "recipe", "demo", cwd=home)
    (home / "mine.yaml").write_text(recipe.replace("limit: 240", "limit: 10"))
    run(stepforge, "run", "mine.yaml", cwd=home)
    assert run(stepforge, "show", "runs/demo", cwd=home).count("correct") > 1
    run(stepforge, "report", "runs/demo", cwd=home)
    assert "no problems" in run(stepforge, "check", "runs/demo/release", cwd=home)
    run(stepforge, "init", "own.yaml", "--yes", "--kind", "vllm", "--model", "tiny", cwd=home)
    assert "never ran" in run(stepforge, "plan", "own.yaml", cwd=home)
    check = textwrap.dedent("""
        from datasets import get_dataset_config_names, load_dataset
        release = "releases/demo/latest"
        configs = get_dataset_config_names(release)
        assert {"positives", "negatives", "step_pairs", "problems"} <= set(configs), configs
        for config in configs:
            splits = load_dataset(release, config)
            assert sum(len(split) for split in splits.values()) > 0, config
    """)
    run(str(python), "-c", check, cwd=home)
