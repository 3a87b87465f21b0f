"""Render templates in a process that its parent can kill: an untrusted template may never finish.

    python -P render_worker.py

In: one line of JSON per rendering on standard input: a template with its values, or a chat template with its messages.
Out: one line per rendering with the text or the error. Memory, time and output length are limited here; the parent
limits the time as well. The process imports nothing from stepforge and inherits no environment variables, so it sees
no API keys.
"""

import json
import os
import resource
import sys
from contextlib import suppress
from datetime import date
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

MOST_CHARACTERS = 4_000_000  # a prompt of a million tokens
MEMORY = 512 * 2**20  # beside what the process has when it begins
SECONDS = 5  # of CPU time, for one rendering
ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True,
                                   autoescape=False)


def render(template: str, values: dict[str, Any]) -> str:
    """The text, given up as soon as it is too long."""
    parts, length = [], 0
    for part in ENVIRONMENT.from_string(template).generate(**values):
        parts.append(part)
        length += len(part)
        if length > MOST_CHARACTERS:
            raise ValueError(f"it writes more than {MOST_CHARACTERS:,} characters")
    return "".join(parts)


def render_chat(template: str, messages: list[dict[str, str]], tokens: dict[str, str], today: str) -> str:
    """A conversation as transformers renders it."""
    from transformers.utils.chat_template_utils import render_jinja_template  # a second, and needed by few

    limit_memory()
    rendered, _ = render_jinja_template(conversations=[messages], chat_template=template, add_generation_prompt=True,
                                        strftime_now=date.fromisoformat(today).strftime, **tokens)
    if len(rendered[0]) > MOST_CHARACTERS:
        raise ValueError(f"it writes more than {MOST_CHARACTERS:,} characters")
    return str(rendered[0])


def limit_memory() -> None:
    """Bound the memory of this process to what it has now, and some more (Linux)."""
    with suppress(OSError, ValueError):
        with open("/proc/self/statm") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, resource.RLIM_INFINITY))


def limit_time() -> None:
    """Bound the CPU time of this process to what it has used, and some seconds more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + SECONDS + 1
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """Answer until nobody asks any more."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    limit_memory()
    for line in sys.stdin:
        asked = json.loads(line)
        limit_time()
        try:
            reply = {"text": render_chat(**asked["chat"]) if "chat" in asked else render(**asked)}
        except MemoryError:
            reply = {"error": f"it needs more than {MEMORY >> 20} MiB of memory"}
        except RecursionError:
            reply = {"error": "it is nested too deep"}
        except Exception as error:
            reply = {"error": str(error)[:300] or type(error).__name__}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
