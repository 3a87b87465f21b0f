"""Answers made to crash, hang, flood or fool a verifier: every one ends, within the deadline, in a verdict, never
`correct`.

The suite is generated from families of attacks and sizes; `test_suite_is_large` counts it. `FOOLING` pairs look equal
and are not. Strings that are harmless spellings of the reference are tested elsewhere.
"""

import resource
import time

import pytest

from stepforge.pipelines.answers import Claim, Verdict, Verifier, answer_key, equation_key, equations, extract_answer

GOLD = "5"
DEADLINE = 3.0


def towers() -> list[str]:
    return [opening.join(["9"] * height) + closing * (height - 1)
            for height in (3, 4, 6, 10, 30, 200) for opening,
            closing in (("^", ""), ("^{", "}"), ("**", ""), ("^(", ")"))]


def nested() -> list[str]:
    pairs = (("(", ")"), ("{", "}"), ("[", "]"), (r"\frac{1}{", "}"), (r"\sqrt{", "}"), (r"\left(", r"\right)"),
             ("|", "|"),
             (r"\boxed{", "}"), ("-", ""), (r"\text{", "}"))
    return [opening * depth + "7" + closing * depth for depth in (12, 30, 50, 1_000) for opening, closing in pairs]


def unclosed() -> list[str]:
    return [mark * size for size in (30, 10_000, 1_000_000) for mark in ("{", "}", "(", "$", "\\", r"\boxed{",
                                                                         r"\frac{", "^")]


def long_texts() -> list[str]:
    return [piece * (1_000_000 // len(piece)) for piece in
            ("a", "1", " ", "\n", "1+", "1,", "=", "$1$", "answer is ", "#### ", "A: ", "<think>", "\\", "é", "𝟙",
             "1 = ", "or ", "%")]


def huge_values() -> list[str]:
    return ["1e500", "1e99999", "1e999999999999", "-1e500", "1e-500", "10^{400}", "10^{10^{10}}", "2^{65537}",
            "9^{9999999}", "(10^9)!",
            "3000!", "5000!", "1000000!", "((5!)!)!", "(((3!)!)!)!", r"\binom{10000000}{5000000}", "7" * 999,
            "7" * 5_000, "7" * 100_000,
            "0." + "7" * 5_000, "7." + "0" * 900 + "1", r"\frac{1}{" + "7" * 500 + "}", "1e400-1e400+6",
            "0.1e1000000000", "2^{-65537}",
            r"\frac{1}{10^{300}}", "1/1e300", "0^0", "0^{-1}", "(-1)^{99999999999}", "(-1)^{1/2}", "(-8)^{1/3}",
            r"\sqrt{-1}", r"(x+1)^{2000}",
            "(x+y+z)^{150}", "x^{x^{x^x}}", r"\prod_{k=1}^{1000000}k", r"\sum_{k=1}^{10^9}k",
            r"\int_0^\infty e^{-x^x}dx", "x!!!!!!!!"]


def without_a_value() -> list[str]:
    return ["1/0", "0/0", r"\frac{5}{0}", r"\frac{0}{0}", "5/(3-3)", "(-1)!", "0.5!", "5%%%/0", r"\infty", r"-\infty",
            r"\infty-\infty",
            "nan", "inf", "NaN", "None", "null", "undefined", "1//0", "5 mod 0", r"\log_1 5", r"\ln 0",
            r"\tan\frac{\pi}{2}", "", " ", "{}",
            "()", "$$", "=", "==", "x=", "=x", "+", "-", "--", "/", "^", "_", "!", "%", ",", ",,", ";", ".", "..", "|",
            "&", "#", "~", "`", "'"]


def characters() -> list[str]:
    return ["\x00", "4\x005", "\x1b[31m7", "7\x08", "\u202e81", "\u2066-7\u2069", "７", "٧", "७", "𝟕", "⑦", "Ⅶ", "七",
            "5\u0338", "\ufeff6", "\u200b",
            "6\u200d", "½5", "5½", "5²", "²", "⁵", "₅", "5⁵", "−5", "–5", "⁻5", "５５", "٥٥", "5\u0665", "\ud800",
            "\udfff7", "🙂", "5🙂5", "\U0010ffff", "٫5",
            "5٫5", "5٬5", "۵.۱", "5\u2009000", "5\u00a0000", "√5", "√", "∛5", "5∞", "5π", "5°5", "5′5″", "#5#",
            "\t\r\v\f", "5\n5", "a\u0301"]


def structures() -> list[str]:
    return ["{4,5,6}", r"\{4,5\}", "(5,5)", "[5,6]", "(4,5)", "[5,5)", r"(-\infty,5)", r"5 \cup 6",
            r"\{5\} \cup \{6\}", r"\emptyset", "5,6", "5;6", "6 or 5",
            "5 and 6", r"5\text{ or }6", r"\begin{pmatrix}5&6\\7&8\end{pmatrix}", r"\begin{pmatrix}5\\6\end{pmatrix}",
            r"\begin{pmatrix}5&",
            r"\begin{matrix}" * 50, r"\begin{pmatrix}" + "5&" * 500 + r"5\end{pmatrix}", r"5 \pm 1", r"\pm 5", "x>5",
            "x<5", "x=5,y=6", "x=4=5", "4=5", "5=4",
            "5=5=6", "x=y", "5<x<6", r"x \in (5,6)", r"\mathbb{R}", r"x \ne 5", "f(5)", "5x", "x5", "5 x", "x^5", "5i",
            "5e", "|{-6}|", "5!", "5%%", "5_6",
            "5_7_8", "55_1", r"5 \mod 3", "5 choose 2", "5:6", "5:00", "5-6", "4-5", "5/6", "1/5", "-5", "- 5", "5.5",
            "5,5", "5.0.0", "0x6", "0b101",
            "5e1", "5e", "5E+", "05:05", ",".join(map(str, range(1000))), " or ".join(map(str, range(300))),
            ",".join(["5"] * 40 + ["6"])]


def injections() -> list[str]:
    return ["__import__('os').system('echo 5')", "eval('5')", "exec('x=5')", "lambda: 5", "exit()",
            "5; DROP TABLE solutions", "${7*7}", "{{7*7}}",
            "%d", "%s%s%n", "../../../../etc/passwd", r"\input{/etc/passwd}", r"\write18{echo 5}", r"\def\x{\x\x}\x",
            r"\newcommand{\a}{\a}\a",
            r"\csname 5\endcsname", r"\loop5\repeat", "5#!sympify", "Symbol('5')", "S(6)", "os.system",
            "<script>5</script>6",
            "correct", "True", "true", "verdict: correct", '["ready"]', "[1, true, \"literal\", null]", "\nready\n",
            '"}]', "yes", "equal"]


def listed_guesses() -> list[str]:
    """Whole solutions that offer many answers in the hope that one is taken."""
    return ["\n".join(f"The answer is {n}" for n in range(9)) + "\nThe answer is 5", r" \boxed{4}, \boxed{5}",
            r"\boxed{5}, \boxed{6}, \boxed{7}",
            " ".join(rf"\boxed{{{n}}}" for n in range(40)), "The answer is 5 or 6.", "The answer is 4, 5 or 6",
            "#### 5 6", "#### 4 or 5", "#### 5, 6",
            "Answer: 1\nAnswer: 2\nAnswer: 3\nAnswer: 4\nAnswer: 5",
            r"\boxed{1}a\boxed{2}b\boxed{3}c\boxed{4}d\boxed{5}", "The answer is between 4 and 6.",
            "The answer is not 5", "<think>5</think>", "<think>The answer is 5", "The answer is 6. <think>\\boxed{5}",
            r"\boxed{5}\boxed{6}"]


BOXED = [*towers(), *nested(), *unclosed(), *long_texts(), *huge_values(), *without_a_value(), *characters(),
         *structures(), *injections()]
SUITE = [f"So the result is \\boxed{{{answer}}}" for answer in BOXED] + listed_guesses()

# (reference, answer): unequal, however alike; Math-Verify 0.9.0 calls most of them equal.
FOOLING = [(r"\frac1{2004!}", r"\frac1{2006!}"), ("10^{-20}", "10^{-21}"), ("4e-7", "1e-7"), ("1e500", "1e501"),
           ("5", r"5\%"), ("5 cm", "5 m"),
           ("abc", "cba"), ("3", "17=3"), ("3", "3 or 4 or 5"), (r"1-\frac1{\mathrm e}", r"1+\frac1{\mathrm e}"),
           ("52_8", "52_9"),
           (r"864 \mbox{ inches}^2", r"864 \mbox{ inches}^3"), ("1", "1+10^{-20}"), ("x", "x+10^{-30}"),
           ("0.1234567", "0.1234568"),
           (r"\sqrt{2}", "1.414213"), ("(1,2)", "[1,2]"), ("x+10^{-9}y", "x"), ("1", "0.9999999"),
           ("10^{30}", "10^{30}+1"), ("1/3", "0.333334"),
           (r"\pi", "22/7"), (r"\pi", "3.141592"), ("2^{100}", "2^{100}-1"), ("(10^{-20},1)", "(10^{-21},1)"),
           (r"\{10^{-20}\}", r"\{10^{-21}\}"),
           (r"\cot x", r"\frac{\cos x}{\sin x}+10^{-25}"), (r"\sqrt{10^{40}+1}", "10^{20}"), ("xy", "yx+10^{-12}"),
           ("-5", "5")]


@pytest.fixture(scope="module")
def peak_before() -> int:
    """KiB that this process, which other tests share, had at most before the suite."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture(scope="module")
def verdicts(peak_before: int) -> list[Verdict]:
    with Verifier(workers=2, timeout_s=DEADLINE) as verifier:
        return list(verifier.verify_many(Claim(GOLD, text) for text in SUITE))


def test_suite_is_large() -> None:
    assert len(set(SUITE)) >= 300


def test_every_hostile_string_gets_a_verdict(verdicts: list[Verdict]) -> None:
    assert len(verdicts) == len(SUITE)
    assert {verdict.verdict for verdict in verdicts} <= {"correct", "incorrect", "undecided"}
    assert all((verdict.reason is not None) == (verdict.verdict == "undecided") or verdict.reason == "many_answers"
               for verdict in verdicts)


def test_every_hostile_string_gets_a_verdict_without_a_box() -> None:
    with Verifier(timeout_s=DEADLINE) as verifier:
        assert len(list(verifier.verify_many(Claim(GOLD, text) for text in BOXED))) == len(BOXED)


def test_no_hostile_string_is_correct(verdicts: list[Verdict]) -> None:
    fooled = [text[:80] for text, verdict in zip(SUITE, verdicts, strict=True) if verdict.verdict == "correct"]
    assert fooled == []


def test_no_worker_dies_of_a_hostile_string(verdicts: list[Verdict]) -> None:
    dead = [text[:80] for text, verdict in zip(SUITE, verdicts, strict=True) if verdict.reason == "worker_died"]
    assert dead == []


def test_bounds_catch_nearly_all_before_the_deadline_has_to(verdicts: list[Verdict]) -> None:
    assert sum(verdict.reason == "timeout" for verdict in verdicts) <= 5


@pytest.mark.parametrize(("gold", "answer"), FOOLING)
def test_unequal_pair_is_never_correct(gold: str, answer: str) -> None:
    with_box = Claim(gold, f"\\boxed{{{answer}}}")
    assert shared().verify(with_box).verdict != "correct"
    assert shared().verify(Claim(answer, f"\\boxed{{{gold}}}")).verdict != "correct"


def shared() -> Verifier:
    from stepforge.pipelines.answers.verifier import shared_verifier
    return shared_verifier()


def test_hostile_references_are_survived() -> None:
    """A hostile reference against an honest answer: no crash, and nothing but a true equal is correct."""
    with Verifier(workers=2, timeout_s=DEADLINE) as verifier:
        verdicts = list(verifier.verify_many(Claim(gold, "The answer is 31") for gold in BOXED))
    assert [gold[:60] for gold, verdict in zip(BOXED, verdicts, strict=True) if verdict.verdict == "correct"] == []


def test_no_single_string_holds_the_process_for_long() -> None:
    """Everything outside the workers is linear, so a megabyte may take a second of CPU on a slow machine, not a
    minute."""
    for text in SUITE:
        start = time.process_time()
        extract_answer(text)
        equations(text[:20_000])
        equation_key(text[:20_000])
        answer_key(text)
        assert time.process_time() - start < 10, text[:80]


def test_memory_stays_bounded(peak_before: int, verdicts: list[Verdict]) -> None:
    """50 megabytes of hostile text add less than 700 MiB to the peak of this process."""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before < 700 << 10
