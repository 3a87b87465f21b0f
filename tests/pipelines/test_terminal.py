"""The command line where things are not as usual: another encoding, a closed pipe, a run or a disk to read only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import command

COMMANDS = (["status"], ["show"], ["measure"])


ONE_AFTER_THE_OTHER = """
import sys
from stepforge.pipelines.cli import main
for words in (["show", sys.argv[1]], ["measure", sys.argv[1]], ["check", sys.argv[2]]):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as stopped:
        sys.stderr.write(f"ended {stopped.code}\\n")
"""


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_another_encoding_is_no_error(small_run, encoding):
    """Tables have lines, and texts letters, that such a terminal cannot show."""
    done = subprocess.run([sys.executable, "-c", ONE_AFTER_THE_OTHER, str(small_run), "näht→"], cwd=small_run.parent,
                          env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False)
    said = done.stderr.decode(encoding)
    assert said.startswith("ended 0\nended 0\n") and said.endswith("\nended 2\n"), said
    assert done.stdout and "Traceback" not in said and "stepforge.json" in said, said


@pytest.mark.parametrize("words", [["recipe", "--options"], ["recipe", "--schema"], ["--help"]])
def test_a_reader_that_has_read_enough_is_no_error(tmp_path, words):
    code = "import sys; from stepforge.pipelines.cli import main; sys.argv[0] = 'stepforge'; main()"
    with subprocess.Popen([sys.executable, "-u", "-c", code, *words], cwd=tmp_path, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": ""}) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() in (1, 141)


def state_of(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_looking_at_a_run_writes_nothing_into_it(small_run, tmp_path):
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    before = state_of(run)
    for words in COMMANDS:
        done = command(*words, run, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    refused = command("compare", run, cwd=tmp_path)
    assert refused.returncode == 2 and "takes at least two" in refused.stderr
    done = command("report", run, "--out", tmp_path / "report.html", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "report.html").stat().st_size > 1000, done.stderr
    assert state_of(run) == before


@pytest.mark.parametrize("arguments", [
    ["report", "{run}", "--out", "/proc/nowhere/r.html"], ["run", "demo", "--out", "/proc/nowhere"],
    ["audit", "export", "{run}", "--out", "/proc/nowhere/a.csv"], ["recipe", "/proc/self/mem"]])
def test_what_the_system_refuses_is_one_sentence(small_run, tmp_path, arguments):
    done = command(*(part.format(run=small_run) for part in arguments), cwd=tmp_path)
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1, done
