"""Workers and their deadlines: CPU counts and not the clock, whatever overruns is killed with all that it started."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stepforge.pipelines.answers import Claim, Verifier, pool
from stepforge.pipelines.answers.pool import CheckFailed, Pool, Worker

EQUAL = (r"\binom{n}{2}", r"\frac{n(n-1)}{2}")
ENDLESS = ("x+2", r"\int_0^x\frac{\sin(t^5)}{t^9+1}dt")     # within every bound, and yet SymPy needs minutes


def heavy(names: str) -> Claim:
    """A true identity that takes Math-Verify a fair part of a second."""
    gold = "+".join(rf"\frac{{1}}{{1+\sqrt{{{name}}}}}" for name in names)
    return Claim(gold, r"\boxed{" + "+".join(rf"\frac{{1-\sqrt{{{name}}}}}{{1-{name}}}" for name in names) + "}")


@contextmanager
def crowded(pid: int) -> Iterator[None]:
    """The process runs for a sixth of the time alone, as it does where many others share its core."""
    done = threading.Event()

    def share() -> None:
        while not done.is_set():
            os.kill(pid, signal.SIGSTOP)
            done.wait(0.1)
            os.kill(pid, signal.SIGCONT)
            done.wait(0.02)

    others = threading.Thread(target=share)
    others.start()
    try:
        yield
    finally:
        done.set()
        others.join()


def test_busy_machine_changes_no_verdict() -> None:
    """The deadline is three times the CPU that the check needs; by the clock it takes more than that."""
    with Verifier(timeout_s=60) as verifier:
        assert verifier.verify(Claim(EQUAL[0], rf"\boxed{{{EQUAL[1]}}}")).verdict == "correct"
        worker = verifier._pool.idle.queue[0]
        before = worker.cpu_seconds
        quiet = verifier.verify(heavy("xyzuvw"))
        deadline = verifier._pool.timeout_s = 3 * (worker.cpu_seconds - before)
        with crowded(worker.process.pid):
            start = time.monotonic()
            busy = verifier.verify(heavy("abcuvw"))
            assert time.monotonic() - start > deadline, "the machine was not busy enough to show anything"
            assert verifier._pool.idle.queue[0] is worker
    assert quiet[2:] == busy[2:] == ("correct", None, "symbolic")


def sleeper(monkeypatch: pytest.MonkeyPatch, signal_number: int) -> Pool:
    """A pool with one worker, which gets the signal while it waits for a check."""
    under_test = Pool("math", 1, timeout_s=60, memory_mb=1024)
    assert under_test.ask(*EQUAL) == [True, "symbolic", None]
    under_test.timeout_s = 0.05
    os.kill(under_test.idle.queue[0].process.pid, signal_number)
    return under_test


def test_check_that_uses_no_cpu_meets_the_backstop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LEAST_BACKSTOP", 0.5)
    under_test = sleeper(monkeypatch, signal.SIGSTOP)
    worker = under_test.idle.queue[0]
    with pytest.raises(CheckFailed, match="timeout"):
        under_test.ask(*EQUAL)
    assert worker.process.returncode == -signal.SIGKILL and under_test.idle.queue[0] is None
    under_test.close()


def test_kernel_keeps_the_deadline_where_cpu_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "used_cpu", lambda group: 0.0)
    monkeypatch.setattr(pool, "LEAST_BACKSTOP", 280.0)
    under_test = Pool("math", 1, timeout_s=0.1, memory_mb=1024)
    with pytest.raises(CheckFailed, match="timeout"):
        under_test.ask(*ENDLESS)
    under_test.close()


def test_cpu_of_a_group_counts_children_at_work_and_ended_ones() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    script = (f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
              "subprocess.Popen([sys.executable, '-c', 'while True: pass'])\nprint(flush=True)\ninput()")
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              process_group=0)
    assert parent.stdout is not None
    parent.stdout.readline()
    try:
        first = pool.used_cpu(parent.pid)
        assert first >= 0.25  # the system counts in hundredths, of user and system apart
        while pool.used_cpu(parent.pid) < first + 0.3:
            time.sleep(0.01)
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


def test_worker_that_cannot_start_says_how_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "START_SECONDS", 0.001)
    with pytest.raises(pool.WorkerError, match=r"not ready after 0 s\); run `.*worker math 5 1024` to see why"):
        Worker("math", 5, 1024)
    monkeypatch.setattr(pool, "START_SECONDS", 60)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(pool.WorkerError, match="it ended with code 1"):
        Worker("math", 5, 1024)


def test_dead_worker_is_undecided_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    under_test = sleeper(monkeypatch, signal.SIGSTOP)
    under_test.timeout_s = 60
    killer = threading.Timer(0.5, os.kill, (under_test.idle.queue[0].process.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(CheckFailed, match="worker_died"):
        under_test.ask(*EQUAL)
    assert under_test.ask(*EQUAL)[0] is True
    under_test.close()


@pytest.mark.slow
def test_memory_limit_makes_out_of_bounds_or_a_dead_worker_never_incorrect() -> None:
    """2^17 bytes above what a worker holds when ready leave no room for any check."""
    under_test = Pool("math", 1, timeout_s=60, memory_mb=1024)
    under_test.ask(*EQUAL)
    pid = under_test.idle.queue[0].process.pid
    held = int(open(f"/proc/{pid}/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(pid, resource.RLIMIT_AS, (held + (1 << 17), held + (1 << 17)))
    try:
        equal, _, reason = under_test.ask(r"\cot(x+\pi)+y^{23}", r"\frac{\cos(x)}{\sin(x)}+y^{23}")
        assert equal is not False and reason in ("out_of_bounds", None)
    except CheckFailed as failure:
        assert failure.reason == "worker_died"
    under_test.close()
