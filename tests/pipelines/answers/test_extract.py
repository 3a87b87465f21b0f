"""Which answer a solution states, by the stated rule: the last explicit one, else the last number."""

import time

import pytest

from stepforge.pipelines.answers import extract_answer
from stepforge.pipelines.answers.extract import text_behind


@pytest.mark.parametrize(("text", "answer", "how"), [
    ("9 * 2 = 18\n#### 18", "18", "hash"),
    ("The answer is 18", "18", "phrase"),
    ("The answer is 18.", "18", "phrase"),
    ("A: 18", "18", "phrase"),
    ("Q: how many?\nA: 18", "18", "phrase"),
    ("**Answer:** 18", "18", "phrase"),
    ("ANSWER: 7", "7", "phrase"),
    ("The answer is $18 because 9 * 2 = 18.", "$18", "phrase"),
    ("The answer is 1,234 eggs. I hope that helps.", "1,234 eggs", "phrase"),
    ("The final answer is $3$. I hope it is correct.", "3", "phrase"),
    ("The answer to the question is therefore 12.", "12", "phrase"),
    ("The answer is that she makes 18 dollars", "18 dollars", "phrase"),
    ("The answer is 5 (five).", "5", "phrase"),
    ("The answer is 5 apples on each of 3 days.", "5 apples", "phrase"),
    ("The answer is 3 apples or 4 apples.", "3 apples or 4 apples", "phrase"),
    ("The correct answer is (C).", "(C)", "phrase"),
    ("The answer is Evelyn.", "Evelyn", "phrase"),
    (r"so $x = \boxed{\frac{1}{2}}$.", r"\frac{1}{2}", "boxed"),
    (r"\boxed{\left\{1, \frac{2}{3}\right\}}", r"\left\{1, \frac{2}{3}\right\}", "boxed"),
    (r"\fbox{4}", "4", "boxed"),
    (r"\boxed 5$", "5", "boxed"),
    (r"\boxed{x = \boxed{5}}", "5", "boxed"),
    (r"The answer is \boxed{7}.", "7", "boxed"),
    ("We get 3 and then 4 apples.", "4 apples", "last_number"),
    ("That leaves 12.5% of it.", "12.5%", "last_number"),
    ("So it is 3 1/2", "3 1/2", "last_number"),
    ("So half of 7 is 7/2", "7/2", "last_number"),
    ("We get $x = 5$.", "x = 5", "last_formula"),
    ("nothing to see", None, "none"),
])
def test_answer_is_found(text: str, answer: str | None, how: str) -> None:
    extraction = extract_answer(text)
    assert (extraction.answer, extraction.how) == (answer, how)


def test_later_box_outranks_an_earlier_phrase() -> None:
    assert extract_answer(r"The final answer is $3$. No, that is wrong. \boxed{7}").answer == "7"


def test_later_phrase_outranks_an_earlier_box() -> None:
    assert extract_answer(r"\boxed{7} is wrong. The answer is 3.").answer == "3"


def test_remark_about_the_answer_does_not_replace_the_box() -> None:
    assert extract_answer(r"\boxed{7}. I think the answer is right.").answer == "7"


def test_denied_answer_is_not_an_answer() -> None:
    assert extract_answer("The answer is 4. The answer is not 5.").answer == "4"


def test_correction_replaces_the_box_before() -> None:
    assert extract_answer(r"\boxed{2} Wait. \boxed{3}").answer == "3"


@pytest.mark.parametrize("text",
                         [r"$\boxed{2}$ and $\boxed{3}$", r"x = \boxed{2}, y = \boxed{3}", r"\boxed{2}\boxed{3}"])
def test_boxes_joined_by_a_connective_are_one_list(text: str) -> None:
    assert extract_answer(text).answer == "2, 3"


def test_repeated_box_is_one_answer() -> None:
    extraction = extract_answer(r"\boxed{5} and so \boxed{5}")
    assert (extraction.answer, extraction.stated) == ("5", 1)


def test_different_statements_are_counted() -> None:
    assert extract_answer("Answer: 1\nAnswer: 2\nAnswer: 3\nAnswer: 4\nAnswer: 4.").stated == 4


def test_thought_is_not_read() -> None:
    assert extract_answer("<think>The answer is 4</think>It is 5.").answer == "5"


def test_thought_whose_opening_was_in_the_prompt_is_not_read() -> None:
    assert extract_answer(r"so \boxed{4}</think>The answer is 5").answer == "5"


def test_unclosed_thought_has_no_answer() -> None:
    assert extract_answer("<think>The answer is 4").how == "unclosed_thought"


def test_last_capital_is_the_choice_where_a_choice_was_asked_for() -> None:
    assert extract_answer("Between (A) and (C), I take (C)", choices=True).answer == "C"
    assert extract_answer("There are 3 of them", choices=True).answer is None


def test_subtraction_is_read_whole_and_a_sign_belongs_to_its_number() -> None:
    assert extract_answer("that makes 10-5").answer == "10-5"
    assert extract_answer("that makes -5").answer == "-5"


def test_time_grows_with_length_not_with_its_square() -> None:
    """Ten times the text may take ten times as long; a square would take a hundred times. The bound leaves a factor of
    4."""
    def seconds(size: int) -> float:
        texts = ("\\boxed{" * size, "answer is " * size, "#### " * size, "A: 1\n" * size, "$" * size, "{" * size,
                 "1 and " * size, "is not 1, " * size, "1 is the answer. " * size, "doubt 5! " * size,
                 "\\boxed{1} and " * size, "\\begin{align}" * size, "# 1\n" * size, "<think>x</think>" * size)
        start = time.process_time()
        for text in texts:
            extract_answer(text)
        return time.process_time() - start

    seconds(1_000)
    assert seconds(100_000) < 40 * max(seconds(10_000), 0.01)


@pytest.mark.parametrize(("text", "characters", "runs_on"), [
    ("So \\boxed{7}.", 0, False), ("So \\boxed{7}.\n\n", 0, False), ("#### 7\nxx", 3, False),
    ("So \\boxed{7}. It fits.\nProblem: what is 1 + 1?", 24, True), ("So \\boxed{7}.\nBye.\nQ: 1 + 1?", 15, True),
    ("The answer is 7.\nOf course.\nThe answer is 7.", 0, False), ("It is 7\nand so on", 0, False),
    ("<think>The answer is 3.\nHm.</think>The answer is 7.\nBye", 4, False),
    ("So \\boxed{7}.<|im_end|>", 10, False), ("So \\boxed{7}.</s><s>[INST] 1 + 1? [/INST] 2", 30, True),
    ("3 + 4 = 7<|im_end|>\n<|im_start|>user\nHi", 30, True), (f"\\boxed{{7}}{' And so on.' * 18}", 0, False),
    (f"So $\\boxed{{7}}$.{' And so on.' * 19}\nBye", 213, False),
    (f"The answer is 7.{' And so on.' * 19}", 209, False),
    (f"The answer is 7{' and so on' * 20}", 0, False)])
def test_text_behind_the_answer_is_measured_from_its_line(text: str, characters: int, runs_on: bool) -> None:
    assert text_behind(text) == (characters, runs_on)
