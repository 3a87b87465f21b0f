"""Equal, unequal, or undecided: the forms people write, and every wrong verdict that Math-Verify is known to give."""

import pytest

from stepforge.pipelines.answers import Claim, Verdict, Verifier, answer_key
from stepforge.pipelines.answers.equivalence import compare


@pytest.fixture(scope="module")
def verifier():
    with Verifier(workers=1, timeout_s=30) as shared:
        yield shared


def boxed(verifier: Verifier, gold: str, answer: str) -> Verdict:
    return verifier.verify(Claim(gold, f"So it is \\boxed{{{answer}}}."))


EQUAL_WITHOUT_SYMBOLS = [
    ("5", "five"), (r"(-\infty,0]", r"x \le 0"), (r"(-\infty,2)\cup(3,\infty)", r"x<2 \text{ or } x>3"),
    ("x>3", r"(3,\infty)"),
    (r"-1 \le x < 3", "[-1,3)"), (r"\left(\frac12,\infty\right)", r"x > 0.5"),
    ("18", "18.00"), ("18", "$18"), ("18", "18 dollars"), ("1000", "1,000"), ("1000", r"1\,000"), ("1000", "1{,}000"),
    ("10080", r"10,\!080"), ("1000", "1e3"), ("0.00004", r"4 \times 10^{-5}"), ("74", "74°"), (r"74^\circ", "74"),
    (r"\frac{1}{2}", "0.5"), (r"\frac12", "1/2"), (r"\dfrac{1}{2}", r"\tfrac12"), ("½", "0.5"), ("2½", "2.5"),
    (r"1\frac{4}{5}", "1.8"), ("1 4/5", "9/5"), ("25%", "0.25"), (r"25\%", r"\frac14"), ("１８", "18"), ("٣", "3"),
    (r"\infty", "∞"), ("x=5", "5"), ("5", "x = 5"), ("2", "2=x"), ("5", "x = 2 + 3 = 5"), (r"\text{Evelyn}", "Evelyn"),
    (r"\text{(C)}", "C"), ("C", r"\text{(C)}"), ("(C)", "c"), ("3, 5, 7", "7, 3 and 5"), ("(1,2)", "( 1 , 2 )"),
    ("1,-2", "-2,1"),
    (r"\{1\pm\sqrt{5},-2\}", r"-2,1+\sqrt{5},1-\sqrt5"), (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"),
    (r"(0,9) \cup (9,36)", r"(9,36)\cup(0,9)"), (r"x \in [-2,7]", "[-2,7]"), ("52_8", "52_{8}"),
    (r"\$18.90", "1890 cents"),
    (r"\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}", r"\begin{pmatrix}-\frac13\\ \frac23\end{pmatrix}"),
    ("5 cm", "50 mm"),
    (r"15\mbox{ cm}^2", "15"), (r"\frac{1}{3}", "0.333333"), ("120", "5!"), ("1.5 million", "1,500,000"),
    ("y = 2x + 3", "2x+3"),
    (r"11,\! 111,\! 111,\! 100", "11111111100"), (r"58,500", "58500"), ("3", "{3}"), (r"2\sqrt{5}", "2√5"),
    ("x^2", "x²"), ("-1", "- 1"), (".5", "0.5"),
]


@pytest.mark.parametrize(("gold", "answer"), EQUAL_WITHOUT_SYMBOLS)
def test_equal_in_the_exact_tiers(gold: str, answer: str) -> None:
    match = compare(gold, answer)
    assert match.equal is True, match
    assert match.method in ("literal", "numeric")


UNEQUAL_WITHOUT_SYMBOLS = [
    (r"(-\infty,0]", "x<0"), (r"(-\infty,0]", r"x \ge 0"), ("x<3", "x>3"), (r"(2,3)", "x>2"),
    ("5", "25"), ("25", "5"), ("5 cm", "5 m"), (r"5.4 \text{ cents}", r"\$5.4"), (r"10^{-20}", r"10^{-21}"),
    ("4e-7", "1e-7"),
    ("1e500", "1e501"), (r"\frac1{2004!}", r"\frac1{2006!}"), ("3", "17=3"), ("3", "3 or 4 or 5"), ("3", "1, 2, 3"),
    ("3", "3 and 4"),
    ("x=5", "y=5"), ("(3,4]", "(3,4)"), ("(1,2)", "(2,1)"), ("[1,2]", "(1,2)"), ("5", "1/0"), (r"\text{even}", "odd"),
    ("(C)", "(D)"),
    (r"1-\frac1{\mathrm e}", r"1+\frac1{\mathrm e}"), (r"3\sqrt{13}", r"4\sqrt{13}"), ("x+1", "x+2"),
    (r"\sqrt{2}", "1.414"),
    ("0.12345678", "0.123457"), ("18", "1 8"), ("2", "2,2,3"), ("1,2", "1,2,3"), ("4343_6", "4346_6"),
    (r"\frac{1}{3}", "0.33"),
    ("10", "x^{10}"), ("7", r"\text{eight}"), ("2^{10}", "2^{11}"), ("3", ""), ("1000000", "1000001"),
    (r"2\pi", r"2"), ("6-5i", "6+5i"), ("(2,3)", "2"), ("2", "(2,3)"), ("p-q", "q-p"), ("5", "six"), ("E", "e"),
]


@pytest.mark.parametrize(("gold", "answer"), UNEQUAL_WITHOUT_SYMBOLS)
def test_unequal_in_the_exact_tiers(gold: str, answer: str) -> None:
    assert compare(gold, answer).equal is False


@pytest.mark.parametrize(("gold", "answer"), [
    ("5", r"5\%"), (r"5\%", "5"), ("52_8", "52"), ("42", "52_8"), ("abc", "cba"), ("ab", "ba"),
])
def test_equal_under_one_reading_only_is_ambiguous(gold: str, answer: str) -> None:
    assert compare(gold, answer)[::2] == (None, "ambiguous")


@pytest.mark.parametrize("gold", ["", " ", "1/0", "0^0", r"\frac{1}{0}"])
def test_reference_without_a_value_is_gold_unparseable(gold: str) -> None:
    assert compare(gold, "5")[::2] == (None, "gold_unparseable")
    assert compare(gold, gold)[::2] == (None, "gold_unparseable")


@pytest.mark.parametrize("answer", [
    r"2^{2^{2^{2^{50}}}}", "9" * 2000, "(" * 50 + "x" + ")" * 50, r"(x+1)^{2000}", "100000!", r"\binom{100000}{50000}",
    "x^{x^{x}}",
    r"10^{10^{10}}", "1e99999999",
])
def test_answer_too_large_to_evaluate_is_out_of_bounds(answer: str) -> None:
    assert compare("x+5", answer)[::2] == (None, "out_of_bounds")


@pytest.mark.parametrize(("gold", "answer"), [
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"), (r"\sqrt{2}", r"\frac{2}{\sqrt2}"), ("x^3+3x-6", "-6+3x+x^3"),
    (r"4\sqrt2", r"\sqrt{32}"), ("(a+5)(b+2)", "ab+2a+5b+10"), ("6-5i", "-5i+6"), (r"\frac{11+9a}{20}", "0.55+0.45a"),
    (r"7\pi", r"\pi\cdot7"), ("4a-2", "-2+4a"), (r"\left( 3, \frac{\pi}{2} \right)", r"(3, 0.5\pi)"),
    ("2i", "(1+i)^2"),
    (r"11\sqrt{5}+11", r"11(1+\sqrt 5)"), (r"\frac{1}{2}x", r"\frac{x}{2}"), (r"\frac{1}{1+\sqrt2}", r"\sqrt2-1"),
    (r"\frac{x^2-1}{x-1}", "x+1"), (r"\sqrt{2}\sqrt{3}", r"\sqrt{6}"), (r"\frac{1}{x}+\frac{1}{y}", r"\frac{x+y}{xy}"),
    (r"\cot x", r"\frac{\cos x}{\sin x}"), ("5x - 7y + 11z + 4 = 0", "-5x+7y-11z-4=0"),
    (r"\sqrt[3]{8x}", r"2\sqrt[3]{x}"), (r"2^{n+1}", r"2 \cdot 2^n"), (r"\ln 9", r"2 \ln 3"),
    (r"\sin 2x", r"2\sin x\cos x"), (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"), (r"\sin^2 x", r"1-\cos^2 x"),
    (r"y=\sin 2x", r"y=2\sin x\cos x"), (r"\cot x", r"\frac{1}{\sin x\cos x}-\tan x"), (r"\cos 58°", r"\sin 32°"),
    (r"\tan(x+\pi)", r"\tan x"), (r"\sin 3x", r"3\sin x-4\sin^3 x"), (r"\sqrt[3]{7+5\sqrt2}", r"1+\sqrt2"),
    (r"\frac{1}{1+\sqrt{y}}", r"\frac{1-\sqrt{y}}{1-y}"), (r"\sqrt{x}\sqrt{x}", "x"), (r"x\sqrt{x}", "x^{3/2}"),
    (r"\sqrt{xy}", r"\sqrt{x}\sqrt{y}"), (r"\sqrt{x^4}", "x^2"), (r"\sqrt[3]{x^2}", "x^{2/3}"),
    (r"\sqrt{3+2\sqrt2}-1-\sqrt2", "0"), (r"\log_2 3", r"\frac{\ln 3}{\ln 2}"), (r"e^{\ln 2}", "2"),
])
def test_equal_by_exact_algebra_in_this_process(gold: str, answer: str) -> None:
    assert compare(gold, answer)[:2] == (True, "symbolic")


@pytest.mark.parametrize(("gold", "answer"), [
    (r"\frac{1}{1+\sqrt{y+1}}", r"\frac{\sqrt{y+1}-1}{y}"), (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
    (r"y=\binom{x}{2}", r"y=\frac{x(x-1)}{2}"), (r"\sum_{k=1}^{4}k", "10"), (r"\int_0^2 x dx", "2"),
])
def test_equal_by_math_verify_in_a_worker(verifier: Verifier, gold: str, answer: str) -> None:
    assert compare(gold, answer)[::2] == (None, "needs_symbolic")
    assert boxed(verifier, gold, answer)[2:] == ("correct", None, "symbolic")


@pytest.mark.parametrize("answer", ["3.141593", "3.14159265"])
def test_long_decimal_may_stand_for_a_constant(answer: str) -> None:
    assert compare(r"\pi", answer).equal is True
    assert compare(answer, r"\pi").equal is True
    assert compare(r"\pi", answer[:-1] + "9").equal is False
    assert compare(r"\pi", "3.14").equal is False


@pytest.mark.parametrize(("gold", "answer"), [
    ("100", "10^"), ("x^2+1", "x^2+x"), (r"\sqrt{x^2}+1", "y"), ("5x - 7y + 11z + 4 = 0", "5x - 7y + 11z + 5 = 0"),
    (r"(2,\infty)", r"[2,\infty)"),
    (r"\sqrt{2}", "1.41421"), ("x<3", "x>3"), (r"\frac{1}{1+10^{-20}}", "1 + 0x"),
])
def test_unequal_whatever_tier_decides(verifier: Verifier, gold: str, answer: str) -> None:
    assert boxed(verifier, gold, answer).verdict == "incorrect"


def test_many_answers_is_the_reason_when_a_list_hits_one(verifier: Verifier) -> None:
    assert boxed(verifier, "3", "3 or 4 or 5")[2:4] == ("incorrect", "many_answers")
    assert verifier.verify(Claim("3", "Answer: 1\nAnswer: 2\nAnswer: 5\nAnswer: 3"))[2:4] == ("incorrect",
                                                                                              "many_answers")


def test_list_of_spellings_of_one_value_is_one_answer(verifier: Verifier) -> None:
    assert boxed(verifier, "0.5", r"0.5, \frac{1}{2}").verdict == "correct"


def test_an_equation_in_one_symbol_has_the_key_of_its_root() -> None:
    assert answer_key("2x+1=7") == answer_key("x=3") == answer_key("3") != answer_key("-3")


def test_inequality_beside_a_lone_connective_has_a_key() -> None:
    assert answer_key(" and  or <think>") == answer_key(" and  or <think> ")
    assert answer_key(r"(1,2)\cap(3,4)") == answer_key(r"\emptyset") == answer_key(r"\varnothing") != ""
