"""The command line as a person starts it, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def stepforge(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "stepforge.pipelines.cli", *map(str, arguments)], cwd=cwd, text=True,
                          capture_output=True, check=False, env=os.environ | environment, errors="replace")
