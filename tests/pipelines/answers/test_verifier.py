"""The stream of verdicts: order, three values, killed and replaced workers, threads, forks, and no orphans."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from stepforge.pipelines.answers import Claim, Verdict, Verifier, answer_key, fingerprint, verifier, verify

SYMBOLIC = Claim(r"\binom{n}{2}", r"\boxed{\frac{n(n-1)}{2}}")     # no tier in this process can tell
ENDLESS = Claim("x+2",
                r"\boxed{\int_0^x\frac{\sin(t^5)}{t^9+1}dt}")     # within every bound, and yet SymPy needs minutes


def test_verdict_names_answer_key_and_method() -> None:
    assert verify("18", "9 * 2 = 18\nThe answer is $18.00") == Verdict("$18.00", "18", "correct", None, "numeric")
    assert verify("18", "The answer is 17").verdict == "incorrect"


@pytest.mark.parametrize(("claim", "reason"), [
    (Claim("5", "no idea"), "no_answer"), (Claim("5", ""), "no_answer"),
    (Claim("", "The answer is 5"), "gold_unparseable"),
    (Claim("5", "<think>so it is 5"), "truncated"),
    (Claim("5", "so we add 2 and 3, which is 5", complete=False), "truncated"),
    (Claim("5", "so we add", complete=False), "truncated"), (Claim("5", r"\boxed{9^{9^{9^9}}}"), "out_of_bounds"),
    (Claim("5", r"\boxed{5\%}"), "ambiguous"), (Claim("128", "The answer is 12", complete=False), "truncated"),
    (Claim("14", "So the sum is \\boxed{14", complete=False), "truncated"),
])
def test_undecided_carries_its_reason(claim: Claim, reason: str) -> None:
    with Verifier() as verifier:
        assert verifier.verify(claim)[2:4] == ("undecided", reason)


def test_answer_stated_before_the_cut_counts() -> None:
    with Verifier() as verifier:
        assert verifier.verify(Claim("5", "The answer is 5. Let me check by", complete=False)).verdict == "correct"
        assert verifier.verify(Claim("5", "The answer is 5", complete=False)).verdict == "correct"
        assert verifier.verify(Claim("5", "The answer is 6", complete=False)).verdict == "incorrect"


def test_text_of_unknown_end_is_incorrect_only_where_it_states_an_answer() -> None:
    with Verifier() as verifier:
        verdicts = {text: verifier.verify(Claim("47", text, complete=None))[2:4] for text in (
            "7 * 8 = 56\nThen 56", "56 - 9 = 47", "The answer is 45.", "so we add", "The answer is 4")}
    assert list(verdicts.values()) == [("undecided", "guessed"), ("correct", None), ("incorrect", None),
                                       ("undecided", "no_answer"), ("undecided", "truncated")]


def test_verdict_reads_what_follows_the_thought() -> None:
    assert verify("5", "<think>The answer is 4</think>The answer is 5").verdict == "correct"


@pytest.mark.parametrize("gold", ["18", "#### 18", "9 * 2 = 18\n#### 18", r"\boxed{18}", "$18$", "18.0"])
def test_reference_may_come_in_any_usual_form(gold: str) -> None:
    assert verify(gold, "The answer is 18").verdict == "correct"


def test_verdicts_come_in_the_order_of_the_claims() -> None:
    slow, quick = [n for n in range(60) if n % 7 == 3], [n for n in range(60) if n % 7 != 3]
    claims = [Claim(r"\binom{n}{2}", rf"\boxed{{\frac{{{n}n(n-1)}}{{{2 * n}}}}}") if n in slow
              else Claim(str(n), f"The answer is {n + n % 2}") for n in range(60)]
    with Verifier(workers=2) as verifier:
        verdicts = list(verifier.verify_many(claims))
    assert [verdict.method == "symbolic" for verdict in verdicts] == [n in slow for n in range(60)]
    assert [verdicts[n].answer for n in quick] == [str(n + n % 2) for n in quick]
    assert [verdicts[n].verdict for n in quick] == ["incorrect" if n % 2 else "correct" for n in quick]
    assert {verdicts[n].verdict for n in slow} == {"correct"}


def test_claims_are_read_ahead_by_no_more_than_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "WINDOW", 16)
    read = 0

    def claims():
        nonlocal read
        for _ in range(400):
            read += 1
            yield SYMBOLIC if read % 2 else Claim("5", "The answer is 5")

    with Verifier() as under_test:
        stream = under_test.verify_many(claims())
        for given in range(100):
            next(stream)
            assert read <= given + 16 + 2


def test_timeout_is_undecided_not_incorrect_and_the_worker_is_replaced() -> None:
    with Verifier(timeout_s=1) as verifier:
        assert verifier.verify(ENDLESS)[2:4] == ("undecided", "timeout")
        assert verifier.verify(Claim(r"\frac{1}{1+\sqrt{y}}", r"\boxed{\frac{1-\sqrt{y}}{1-y}}")).verdict == "correct"


def test_works_in_a_thread_and_in_asyncio() -> None:
    async def both() -> list[Verdict]:
        return await asyncio.gather(*(asyncio.to_thread(verify, SYMBOLIC.gold, SYMBOLIC.solution) for _ in range(4)))

    assert {verdict.verdict for verdict in asyncio.run(both())} == {"correct"}
    collected: list[Verdict] = []
    thread = threading.Thread(target=lambda: collected.append(verify(*SYMBOLIC[:2])))
    thread.start()
    thread.join()
    assert collected[0][2:] == ("correct", None, "symbolic")


def test_worker_started_from_a_short_lived_thread_outlives_it() -> None:
    with Verifier() as verifier:
        thread = threading.Thread(target=verifier.verify, args=(SYMBOLIC,))
        thread.start()
        thread.join()
        worker = verifier._pool.idle.queue[0]
        assert verifier.verify(Claim(r"\frac{1}{1+\sqrt{y}}", r"\boxed{\frac{1-\sqrt{y}}{1-y}}")).verdict == "correct"
        assert verifier._pool.idle.queue[0] is worker


def _in_child(gold: str) -> str:
    return verify(gold, SYMBOLIC.solution).verdict


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_works_in_daemonic_pool_workers(method: str) -> None:
    verify(*SYMBOLIC[:2])                                       # the parent's shared verifier is already running
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_in_child, [SYMBOLIC.gold, r"\binom{n}{3}"]) == ["correct", "incorrect"]
    assert verify(r"\binom{m}{2}", r"\boxed{\frac{m(m-1)}{2}}").verdict == "correct"    # unharmed by its children


def test_no_worker_is_started_where_none_is_needed() -> None:
    with Verifier(workers=2) as verifier:
        list(verifier.verify_many([Claim("5", "The answer is 5")] * 100))
        assert verifier._pool.threads is None
        assert list(verifier._pool.idle.queue) == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("claim", [SYMBOLIC, ENDLESS], ids=["idle", "busy"])
def test_no_orphans_when_the_parent_is_killed(claim: Claim) -> None:
    script = textwrap.dedent(f"""
        import threading, time
        from stepforge.pipelines.answers import Claim, Verifier
        verifier = Verifier(timeout_s=1.0)
        verifier.verify({SYMBOLIC!r})
        print(verifier._pool.idle.queue[0].process.pid, flush=True)
        threading.Thread(target=verifier._pool.ask, args=("x+2", {claim.solution[7:-1]!r}), daemon=True).start()
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    for _ in range(600):
        if not os.path.exists(f"/proc/{worker}") or "Z" in open(f"/proc/{worker}/stat").read().split()[2]:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail(f"worker {worker} outlived its parent by a minute")


def test_closed_verifier_says_so() -> None:
    with Verifier() as verifier:
        pass
    with pytest.raises(ValueError, match="closed"):
        verifier.verify(SYMBOLIC)


@pytest.mark.parametrize("settings", [{"workers": 0}, {"timeout_s": 0}, {"memory_mb": 10}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError,
                       match=f"{next(iter(settings))} is {next(iter(settings.values()))}; it must be at least"):
        Verifier(**settings)


def test_keys_of_equal_forms_agree_and_of_unequal_forms_differ() -> None:
    assert len({answer_key(form) for form in ("0.5", "1/2", r"\frac{1}{2}", r"$\dfrac12$", "50%", "x = 0.5")}) == 1
    assert answer_key("p - q") == answer_key("-q + p") != answer_key("q - p")
    assert answer_key(r"2\sqrt{3}") == answer_key(r"\sqrt{12}")
    assert len({answer_key(form) for form in ("1, 2", "2, 1", r"\{1,2\}")}) == 1
    assert len({answer_key(form) for form in ("5", "-5", "5x", "(1,2)", "(2,1)", "[1,2)", "1e500", "1e501",
                                              "52_8")}) == 9
    assert len(answer_key("x" * 10**6)) < 100


def test_fingerprint_names_every_version_that_matters() -> None:
    assert set(fingerprint()) == {"stepforge-answers", "math-verify", "latex2sympy2-extended",
                                  "antlr4-python3-runtime", "sympy"}


@pytest.mark.parametrize("place", ["extract_answer", "answer_key", "_quick_match"])
def test_an_exception_of_ours_costs_one_verdict_and_not_the_rank(monkeypatch, place: str) -> None:
    whole = getattr(verifier, place)

    def fails(text: str, *more: object) -> object:
        if "733" in (text, *more) or text.endswith("733"):
            raise RecursionError("maximum recursion depth exceeded")
        return whole(text, *more)

    monkeypatch.setattr(verifier, place, fails)
    with Verifier() as ours:
        verdicts = list(ours.verify_many(Claim("7", f"The answer is {number}") for number in (7, 733, 8)))
    assert [verdict[2:4] for verdict in verdicts] == [
        ("correct", None), ("undecided", "verifier_failed"), ("incorrect", None)]


def test_an_answer_at_the_end_of_a_cut_text_casts_no_vote():
    with Verifier() as verifier:
        votes = [verifier.stated("The answer is 12", complete) for complete in (True, None, False)]
        assert votes[0] == votes[1] is not None and votes[2] is None
        assert verifier.stated("The answer is 12.\nTo check, 4 times 3", False) == votes[0]


def test_a_box_that_is_part_of_a_formula_casts_no_vote():
    with Verifier() as verifier:
        assert verifier.stated(r"The disc measures $\boxed{15}\pi$.", True) is None
        assert verifier.stated(r"The disc measures $\boxed{15\pi}$.", True) == (r"15\pi", answer_key(r"15\pi"))
