"""The process that runs checks: `python -P -m stepforge.pipelines.answers.worker TASK CPU_SECONDS MEGABYTES`.

TASK is `math`, the symbolic tier, or `module:function`, a verifier of the user's (custom.py). One JSON list
`[id, *arguments]` per line comes in on standard input, one `[id, cpu_seconds, result]` per line goes out on standard
output, after a first line with id 0 that says it is ready: its result is the task's version and what is wrong with the
task. The pool kills it at the deadline. It ends when its input closes; should its parent die in the middle of a check,
the kernel's limit on CPU seconds ends it soon after. (Linux can tie a child to its parent, but means the parent's
*thread*, and pools are used from short-lived threads.)
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.custom import NotLoaded, load
from stepforge.pipelines.answers.equivalence import Match, compare

SPARE_SECONDS = 2       # of CPU beyond the deadline, which the pool enforces first


def main() -> None:
    """Answer requests until the input ends."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)                            # whatever a check reads must not be the requests ...
    os.dup2(2, 1)                                  # ... and what it prints must not end up among the replies
    task, seconds, megabytes = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    try:
        version, check = math_task() if task == "math" else load(task)
    except NotLoaded as error:
        replies.write(json.dumps([0, used_cpu(), [None, str(error)]]) + "\n")
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies.write(json.dumps([0, used_cpu(), [version, None]]) + "\n")
    for line in requests:
        number, *arguments = json.loads(line)
        _allow_cpu(seconds + SPARE_SECONDS)
        result = check(*arguments)
        replies.write(json.dumps([number, used_cpu(), result]) + "\n")


def math_task() -> tuple[str, Callable[[str, str], Any]]:
    """The symbolic tier: two answers in, a `Match` out."""
    from stepforge.pipelines.answers.symbolic import symbolic_match

    def check(gold: str, answer: str) -> Match:
        try:
            return compare(gold, answer, symbolic_match)
        except (MemoryError, RecursionError):
            return Match(None, "none", outcome.OUT_OF_BOUNDS)

    check(r"\binom{n}{2}+\sqrt{2}y", r"\sqrt{2}y+\frac{n(n-1)}{2}")   # the first check is slow: nobody pays
    gc.freeze()                                    # SymPy's own objects live as long as the process
    return str(outcome.VERSION), check


def used_cpu() -> float:
    """CPU seconds of this process and of the children that it waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _allow_cpu(seconds: float) -> None:
    """Let the kernel end this process once it has used this many more seconds of CPU."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main()
