"""Nothing depends on the order of clocks: runs, journals, locks and versions, with a clock that is set back.

Children run with a `time.time` that lies far behind the times of the files and goes back an hour now and then. Another
hook takes the lock away, as a network file system without locks does.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from helpers.runs import SMALL, rows

from stepforge.builders.tables import TABLES
from stepforge.pipelines.plan import read_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CLOCK = """
import itertools, os, time
real, calls = time.time, itertools.count()
time.time = lambda: real() - 86400 * float(os.environ["DAYS_BACK"]) - 3600 * (next(calls) % 3)
time.time_ns = lambda: int(time.time() * 1e9)
"""
NO_LOCK = "import fcntl\nfcntl.flock = lambda *_: None\n"


def start(folder: Path, recipe: dict, hook: str, days: int = 400) -> subprocess.Popen:
    home = folder / "hook"
    home.mkdir(parents=True, exist_ok=True)
    (home / "sitecustomize.py").write_text(hook)
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    environment = os.environ | {"PYTHONPATH": str(home), "DAYS_BACK": str(days)}
    return subprocess.Popen([sys.executable, "-m", "stepforge.pipelines.cli", "run", str(file), "--out", str(folder)],
                            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)


def finish(process: subprocess.Popen) -> str:
    said = process.communicate(timeout=600)[0]
    assert process.returncode == 0, said
    return said


def assert_same_tables(folder: Path, other: Path) -> None:
    for name in TABLES:
        if (other / f"tables/{name}.parquet").exists():
            there, here = ([{key: value for key, value in row.items() if key != "cached_prompt_tokens"}
                            for row in rows(run, name) if not str(row.get("measure")).endswith("cached_prompt_tokens")]
                           for run in (other, folder))
            assert here == there, name


def test_a_clock_that_is_set_back_between_and_within_runs_changes_nothing(tmp_path: Path, small_run: Path) -> None:
    recipe = SMALL | {"release": SMALL["release"] | {"to": f"local:{tmp_path / 'out'}"}}
    first = start(tmp_path, recipe, CLOCK, days=-400)
    while "verify" not in read_state(tmp_path / "small"):
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    for path in (tmp_path / "small").rglob("*"):
        os.utime(path, (time.time() + 3e7, time.time() + 3e7))
    finish(start(tmp_path, recipe, CLOCK))
    assert_same_tables(tmp_path / "small", small_run)
    more = recipe | {"release": recipe["release"] | {"max_pairs_per_problem": 1}}
    said = finish(start(tmp_path, more, CLOCK, days=4000))
    assert [word in said for word in ("generate      done", "annotate      done")] == [True, True], said
    versions = sorted(path.name for path in (tmp_path / "out").glob("v*"))
    assert versions[0] == "v1.0.0" and len(versions) == 2
    assert (tmp_path / "out/latest").resolve().name == versions[-1]


def test_two_runs_in_one_folder_without_locks_one_of_them_killed(tmp_path: Path, small_run: Path) -> None:
    """The same host, so that the pulse tells them nothing either. What the last one leaves is a run like any other."""
    both = [start(tmp_path, SMALL, NO_LOCK) for _ in range(2)]
    while both[1].poll() is None and len(list((tmp_path / "small/generated").glob("*/*.jsonl"))) < 2:
        time.sleep(0.02)
    os.killpg(both[0].pid, signal.SIGKILL)
    both[0].communicate()
    said = both[1].communicate(timeout=600)[0]
    assert "Traceback" not in said
    finish(start(tmp_path, SMALL, NO_LOCK))
    assert_same_tables(tmp_path / "small", small_run)
