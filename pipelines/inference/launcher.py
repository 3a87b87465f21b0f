"""Runs a server so that nothing of it outlives the process that wanted it, however that process ends.

    python launcher.py PARENT COMMAND ...

It stands between the two, alone with the server in a process group of its own. When the server ends, when it is told
to (SIGTERM), or when PARENT is no longer its parent (killed, say, by kill -9), it lets the server end in order and
then kills the whole group: vLLM's engine and workers live on when their API server is killed. It imports nothing of
ours, so that any Python can run it in a few milliseconds.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

LOOK_SECONDS = 0.2
GRACE_SECONDS = 5.0


def main() -> None:
    """Run the command until it, the parent, or a signal ends it; ends this process, too."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: signals.append(number))
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_launcher)
    while server.poll() is None and os.getppid() == parent and not signals:
        time.sleep(LOOK_SECONDS)
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    else:
        sys.stdout.write(f"the server ended by itself with code {server.returncode}\n")
        sys.stdout.flush()
    os.killpg(os.getpgrp(), signal.SIGKILL)  # this process is one of the group


def _die_with_launcher() -> None:
    """Let the kernel kill the server when the launcher is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    main()
