"""The command line where things are not as usual: another encoding, a closed pipe, a run or a disk to read only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cli import stepforge

COMMANDS = (["status"], ["show"], ["measure"])


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_another_encoding_is_no_error(small_run, encoding):
    """Tables have lines, and texts letters, that such a terminal cannot show."""
    for command in COMMANDS[1:3]:
        done = stepforge(*command, small_run, cwd=small_run.parent, PYTHONIOENCODING=encoding)
        assert done.returncode == 0 and not done.stderr, done.stderr
    done = stepforge("check", "näht→", cwd=small_run.parent, PYTHONIOENCODING=encoding)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "stepforge.json" in done.stderr, done.stderr


@pytest.mark.parametrize("command", [["recipe", "--options"], ["recipe", "--schema"], ["--help"]])
def test_a_reader_that_has_read_enough_is_no_error(tmp_path, command):
    code = "import sys; from stepforge.pipelines.cli import main; sys.argv[0] = 'stepforge'; main()"
    with subprocess.Popen([sys.executable, "-u", "-c", code, *command], cwd=tmp_path, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": ""}) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() in (1, 141)


def state_of(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_looking_at_a_run_writes_nothing_into_it(small_run, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    before = state_of(run)
    for command in COMMANDS:
        done = stepforge(*command, run, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    refused = stepforge("compare", run, cwd=tmp_path)
    assert refused.returncode == 2 and "takes at least two" in refused.stderr
    done = stepforge("report", run, "--out", tmp_path / "report.html", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "report.html").stat().st_size > 1000, done.stderr
    assert state_of(run) == before


@pytest.mark.parametrize("arguments", [
    ["report", "{run}", "--out", "/proc/nowhere/r.html"], ["run", "demo", "--out", "/proc/nowhere"],
    ["audit", "export", "{run}", "--out", "/proc/nowhere/a.csv"], ["recipe", "/proc/self/mem"]])
def test_what_the_system_refuses_is_one_sentence(small_run, tmp_path, arguments):
    done = stepforge(*(part.format(run=small_run) for part in arguments), cwd=tmp_path)
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1, done
