"""A run in a process of its own, to kill or interrupt, and what its journals hold meanwhile."""

import signal
import subprocess
import sys
import time

import yaml

from helpers.runs import SMALL, rows

COMMAND = [sys.executable, "-m", "stepforge.pipelines.cli", "run"]


def start(folder, recipe_of_run=SMALL):
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(recipe_of_run | {"executor": {"tasks": 2, "workers": 2}}))
    return subprocess.Popen([*COMMAND, str(recipe), "--out", str(folder)], cwd=folder, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's & ignores it


def lines(folder, kind):
    journals = sorted((folder / "small" / kind).glob("*/*.jsonl"))
    return [line for path in journals for line in path.read_bytes().splitlines()]


def wait_for(process, folder, kind, count):
    """Until a journal holds `count` lines; False when the run ended before."""
    while process.poll() is None:
        if len(lines(folder, kind)) >= count:
            return True
        time.sleep(0.02)
    return False


def comparable(folder, table):
    ignored = {"cached_prompt_tokens"}  # depends on what the engine had in its cache
    return [{name: value for name, value in row.items() if name not in ignored} for row in rows(folder, table)
            if not str(row.get("measure")).endswith("cached_prompt_tokens")]
