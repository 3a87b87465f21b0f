"""The files around the code agree with each other: versions, Python versions, what is typed, what CI runs."""

import subprocess
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
YAML = [path for pattern in (".github/**/*.yml", ".pre-commit-config.yaml", "CITATION.cff")
        for path in sorted(ROOT.glob(pattern))]


def loaded(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_file_is_yaml_and_names_no_package_registry(path):
    text = path.read_text(encoding="utf-8")
    assert isinstance(yaml.safe_load(text), dict) and len(YAML) >= 7
    assert "pypi." not in text and "pythonhosted" not in text


def test_citation_is_of_this_version():
    cited = loaded("CITATION.cff")
    assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])


def test_ci_runs_every_python_that_the_package_names():
    ci = loaded(".github/workflows/ci.yml")["jobs"]
    named = {line.rpartition(":: ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line}
    assert set(ci["fast"]["strategy"]["matrix"]["python"]) == named and min(named) in PROJECT["requires-python"]
    commands = [step["run"] for job in ci.values() for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run fast", "bash .ci/run slow", "make docs"]


def test_a_word_that_ci_does_not_know_runs_nothing():
    done = subprocess.run(["bash", ROOT / ".ci/run", "quick"], text=True, capture_output=True, check=False)
    assert done.returncode == 2 and "fast|slow" in done.stderr and not done.stdout


def test_a_release_is_of_the_tag_and_keeps_no_token():
    release = loaded(".github/workflows/release.yml")
    steps = "\n".join(step.get("run", step.get("uses", "")) for job in release["jobs"].values()
                      for step in job["steps"])
    assert "${GITHUB_REF_NAME#v}" in steps and "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()
    assert release["jobs"]["publish"]["needs"] == "build"


@pytest.mark.parametrize("package", ["stepforge", "stepforge.builders", "stepforge.cards", "stepforge.pipelines",
                                     "stepforge.train"])
def test_every_package_says_that_it_is_typed(package):
    assert (files(package) / "py.typed").is_file()
