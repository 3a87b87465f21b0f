"""The process that runs symbolic checks: `python -P -m stepforge.pipelines.answers.worker MEGABYTES SECONDS`.

One JSON list `[id, gold, answer]` a line comes in on standard input, one `[id, equal, method, reason]` a line goes out
on standard output, after a first line that says it is ready. The pool kills it at the deadline. It ends when its input
closes; should its parent die in the middle of a check, the kernel's limit on CPU seconds ends it soon after. (Linux
can tie a child to its parent, but means the parent's *thread*, and pools are used from short-lived threads.)
"""

import gc
import json
import os
import resource
import sys
import time

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.equivalence import Match, compare

SPARE_SECONDS = 2       # of CPU beyond the deadline, which the pool enforces first


def main() -> None:
    """Answer requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    os.dup2(2, 1)                                  # whatever a library prints must not end up among the replies
    megabytes, seconds = int(sys.argv[1]), float(sys.argv[2])
    from stepforge.pipelines.answers.symbolic import symbolic_match
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    symbolic_match(r"\cot x+\sqrt{2}y", r"\sqrt{2}y+\frac{\cos x}{\sin x}")    # the first check is slow: nobody pays
    gc.freeze()                                    # SymPy's own objects live as long as the process
    replies.write("ready\n")
    for line in sys.stdin.buffer:
        number, gold, answer = json.loads(line)
        _allow_cpu(seconds + SPARE_SECONDS)
        try:
            match = compare(gold, answer, symbolic_match)
        except (MemoryError, RecursionError):
            match = Match(None, "none", outcome.OUT_OF_BOUNDS)
        replies.write(json.dumps([number, *match]) + "\n")


def _allow_cpu(seconds: float) -> None:
    """Let the kernel end this process once it has used this many more seconds of CPU."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main()
