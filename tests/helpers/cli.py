"""The command line as a person starts it, in a process of its own."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LOADED = ["stepforge.pipelines.cli", "stepforge.pipelines.plan", "stepforge.pipelines.recipe"]


def stepforge(*arguments: object, cwd: Path, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command did. Its process forks from one that has already imported what most commands take seconds to
    import; with variables of the environment, which packages read as they are imported, it is a new one."""
    words = [*map(str, arguments)]
    if environment:
        return subprocess.run([sys.executable, "-m", "stepforge.pipelines.cli", *words], cwd=cwd, text=True,
                              capture_output=True, check=False, env=os.environ | environment, errors="replace")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("in", "out", "err")]
        streams[0].write_text(typed)
        process = context.Process(target=_main, args=(words, cwd, dict(os.environ), streams))
        process.start()
        process.join()
        return subprocess.CompletedProcess(words, process.exitcode or 0,
                                           *(stream.read_text(errors="replace") for stream in streams[1:]))


def _main(words: list[str], cwd: Path, environment: dict[str, str], streams: list[Path]) -> None:
    from stepforge.pipelines import cli

    sys.stdin = streams[0].open()
    for number, stream in enumerate(streams[1:], 1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["stepforge", *words]
    cli.main()
