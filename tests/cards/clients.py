"""A process that has imported the real clients and forks a child for every call that it reads, one JSON line each.

A child is a process of its own, to be killed at any moment, without the seconds that the imports take. It writes its
result to the file that the call names; the parent answers with the child's id.
"""

import json
import os
import resource
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from datasets import load_dataset

from stepforge.cards.checkpoint import push
from stepforge.cards.publish import publish


def load(repo: str, config: str, revision: str, streaming: bool = False) -> dict[str, list]:
    """Rows by split."""
    return {split: list(rows) for split, rows in
            load_dataset(repo, config, revision=revision, streaming=streaming).items()}


def upload(folder: str, to: str, version: str | None, settings: dict[str, Any] | None = None, **options: bool) -> dict:
    """Publish, with other `settings` of modules, such as {"upload.MOST_FILES": 3}; "read" has the bytes that it
    read from files and connections, where the system counts them, "peak_kb" its largest memory."""
    _set(settings)
    before = _read()
    done = publish(Path(folder), to, version, **options)._asdict()
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return done | {"read": _read() - before, "peak_kb": peak_kb}


def _set(settings: dict[str, Any] | None) -> None:
    for name, value in (settings or {}).items():
        module, _, attribute = name.rpartition(".")
        setattr(import_module(f"stepforge.cards.{module}"), attribute, value)


def checkpoint(to: str, run: str, tables: dict[str, list[str]], private: bool | None = None,
               settings: dict[str, Any] | None = None) -> dict:
    _set(settings)
    return push(to, run, {table: list(map(Path, paths)) for table, paths in tables.items()}, private,
                {})._asdict()


def _read() -> int:
    counts = Path("/proc/self/io")
    return int(counts.read_text().split()[1]) if counts.exists() else 0


def serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the system
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            run(call)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def run(call: dict) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(call["result"] + ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        value = {"load": load, "publish": upload, "checkpoint": checkpoint}[call["name"]](**call["arguments"])
        answer = {"value": value}
    except BaseException as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    Path(call["result"] + ".part").write_text(json.dumps(answer))
    os.replace(call["result"] + ".part", call["result"])
    os._exit(0)


if __name__ == "__main__":
    serve()
