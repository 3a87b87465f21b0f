"""Jinja templates of a user's or a model's, rendered where they can do no harm: in a sandbox, and in bounds.

A recipe may be a stranger's, and `plan` renders its prompts. So templates are rendered by a process of their own
(render_worker.py), which is ended when it takes too long: a sandbox keeps a template from running code, not from
looping through nested loops or from writing a text of 3 GB. A template that only names its variables needs no process.
"""

import atexit
import json
import os
import re
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepforge.builders.errors import UserError
from stepforge.builders.terminal import in_line

WORKER = Path(__file__).with_name("render_worker.py")
WAIT_SECONDS = 60.0  # by the clock, for one rendering and the start of its process; CPU time is bounded by the worker
_NAMES = re.compile(r"\{\{ *([a-z_]+) *\}\}")
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR")


class CannotRender(Exception):
    """Why a template gave no text."""


def render_template(field: str, template: str, variables: str, **values: object) -> str:
    """What the template makes of `values`: texts, none, or lists of texts or of mappings.

    Args:
        field: the option of the recipe that it came from, for the error.
        variables: names of the values in words, for the error.

    Raises:
        UserError: it is no template, uses a variable or filter that does not exist, or takes too much time, memory or
            text.
    """
    try:
        if (plain := _plain(template, values)) is not None:
            return plain
        return ask_worker({"template": template, "values": values})
    except CannotRender as error:
        raise UserError(f"{field}: the template cannot be rendered: {error}; it may use {variables}") from error


def _plain(template: str, values: Mapping[str, object]) -> str | None:
    """The text of a template that only names its variables; None for any other."""
    names = _NAMES.findall(template)
    if re.search(r"{%|{#|\r", template) or template.count("{{") != len(names):
        return None
    if not all(isinstance(values.get(name), str) for name in names):
        return None
    parts = _NAMES.split(template)
    return "".join(str(values[part]) if index % 2 else part for index, part in enumerate(parts))


class Worker:
    """The process that renders, started when it is first asked; a forked process starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, question: Mapping[str, Any], wait_s: float) -> str:
        """The text.

        Raises:
            CannotRender: there is none, or it did not come in time; the process then ends.
        """
        with self._lock:
            try:
                process = self._running()
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(json.dumps(question).encode() + b"\n")
                process.stdin.flush()
                line = _read_line(process.stdout.fileno(), wait_s)
            except TimeoutError:
                self.stop()
                raise CannotRender(f"it takes more than {wait_s:g} s") from None
            except (BrokenPipeError, EOFError):
                self.stop()
                raise CannotRender("it takes too much time or memory, and its process ended") from None
            except BaseException:  # an interrupt: the reply to this question would be read as that to the next one
                self.stop()
                raise
        reply = json.loads(line)
        if "error" in reply:
            raise CannotRender(in_line(reply["error"], 300))
        return str(reply["text"])

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid():
            environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=environment | {"OMP_NUM_THREADS": "1"})
            self._owner = os.getpid()
            atexit.register(self.stop)
        return self._process

    def stop(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
        self._process = None


def _read_line(descriptor: int, wait_s: float) -> bytes:
    """A line from a pipe; raises TimeoutError where nothing comes for `wait_s`, and EOFError at its end."""
    parts: list[bytes] = []
    while not (parts and parts[-1].endswith(b"\n")):
        if not select.select([descriptor], [], [], wait_s)[0]:
            raise TimeoutError
        part = os.read(descriptor, 1 << 20)
        if not part:
            raise EOFError
        parts.append(part)
    return b"".join(parts)


_WORKER = Worker()


def ask_worker(question: Mapping[str, Any]) -> str:
    """A rendering by the process of this one; errors as for `Worker.ask`."""
    return _WORKER.ask(question, WAIT_SECONDS)


def render_chat(template: str, messages: Sequence[Mapping[str, str]], tokens: Mapping[str, str], today: str) -> str:
    """A conversation under a model's chat template, up to where the assistant begins; errors as for `Worker.ask`."""
    return ask_worker({"chat": {"template": template, "messages": messages, "tokens": tokens, "today": today}})
