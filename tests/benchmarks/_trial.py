"""One run of a small recipe against a model server, both in processes of their own: what chaos.py hits with faults.

In: a folder, a server, a seed. Out: processes of `stepforge run` to wait for, their exit codes, and how many answers
their journals hold.
"""

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

HELPERS = Path(__file__).parents[1] / "helpers"
PRELOAD = ["stepforge.pipelines.cli", "datasets", "matplotlib.pyplot"]
SAMPLES, ROLLOUTS = 4, 2


class Server:
    """The model server, started anew where it was killed."""

    def __init__(self, behaviour: dict[str, Any] | None = None) -> None:
        self.behaviour = behaviour or {}
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(HELPERS / "openai_server.py"), json.dumps(self.behaviour)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Trial:
    """One run of the recipe in a folder of its own, hit by one fault."""

    def __init__(self, folder: Path, server: Server, seed: int, lines: int, size: int) -> None:
        self.folder, self.server, self.draw = folder, server, random.Random(seed)
        self.lines, self.size = lines, size  # of a run without faults: journal lines, bytes
        self.workers = 1
        self.environment: dict[str, str] = {}
        self.note = ""
        self.codes: list[int] = []

    @property
    def run(self) -> Path:
        return self.folder / "chaos"

    def start(self) -> Any:
        """The command in a process of its own, forked from one that has its modules loaded."""
        path = self.folder / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe(self.server.url, self.folder, self.workers)))
        process = _context().Process(target=run_command, args=(str(path), str(self.folder), str(self.folder / "log")))
        process.start()
        return process

    def finish(self, process: Any) -> int:
        process.join()
        self.codes.append(process.exitcode)
        return int(process.exitcode)

    def answers(self) -> int:
        """Lines in the journals so far."""
        return sum(len(path.read_bytes().splitlines())
                   for kind in ("generated", "rollouts") for path in sorted((self.run / kind).glob("*/*.jsonl")))

    def wait(self, process: Any) -> bool:
        """Until a random share of the answers is in the journals; False where the run ended before."""
        wanted = self.draw.randint(1, self.lines)
        while process.is_alive():
            if self.answers() >= wanted:
                self.note = f"after {wanted} of {self.lines} answers"
                return True
            time.sleep(0.005)
        return False


def recipe(url: str, folder: Path, workers: int) -> dict[str, Any]:
    return {
        "name": "chaos", "problems": [{"source": "arithmetic", "limit": 4, "steps": [3, 4]}],
        "generators": [{"name": "m", "engine": "endpoint", "url": url, "model": "tiny", "samples": SAMPLES,
                        "max_tokens": 96, "timeout_s": 30}],
        "annotate": {"policy": "m", "rollouts": ROLLOUTS, "negatives_per_problem": 1, "positives_per_problem": 1},
        "release": {"splits": {}, "to": f"local:{folder / 'published'}"},
        "executor": {"tasks": 2, "workers": workers},
    }


def run_command(path: str, out: str, log: str) -> None:
    """`stepforge run`, with shorter pauses between attempts, in a process that has just been forked."""
    from stepforge.pipelines import cli
    from stepforge.pipelines.inference import client

    os.setsid()
    client.FIRST_PAUSE_SECONDS, client.LONGEST_PAUSE_SECONDS = 0.02, 0.2
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["stepforge", "run", path, "--out", out]
    cli.main()


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context
