"""The command line in this process, for what a command says and writes; helpers/cli.py starts a process of its own."""

import io
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from stepforge.pipelines import cli


def command(*arguments: object, cwd: Path, typed: str = "") -> CompletedProcess[str]:
    """What a command did; `typed` is its standard input."""
    words = [*map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with (chdir(cwd), redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", io.StringIO(typed)),
          patch.object(sys, "argv", ["stepforge", *words])):
        try:
            cli.main()
            code: int | str | None = 0
        except SystemExit as stopped:
            code = stopped.code
    return CompletedProcess(words, code if isinstance(code, int) else int(code is not None), out.getvalue(),
                            err.getvalue())
