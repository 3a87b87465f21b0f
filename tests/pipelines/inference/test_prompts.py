"""Prompts: worked examples that are right, templates that fail before anything is paid for, real chat templates."""

import itertools
import math
from fractions import Fraction

import pytest
from helpers.runs import execute
from tokenizers import processors
from transformers import AutoModelForCausalLM, AutoTokenizer

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.pipelines.answers import equations, first_false_step, verify
from stepforge.pipelines.inference.engines import generator_id, sampling_of
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.pipelines.inference.prompts import ASKED, PROMPTS, check_prompt, prompt_sets, render, template_text
from stepforge.pipelines.options.generators import EmbeddedGenerator

SHOTS = [(name, shot) for name, named in prompt_sets().items() for shot in named.shots]
# The answers once more, by other ways than those of the solutions.
RECOMPUTED = {
    "gsm8k_8shot": [
        sum([6] * 9) + 4, (5 * 14 + 3 * 14) - 37, Fraction(1, 3) * 8 * 45, Fraction(10, 4) * 300,
        next(age for age in range(100) if age % 2 == 0 and (age + 6) + (age // 2 + 6) == 42),
        math.ceil(100 / 12) * 9, 80 * Fraction(75, 100) - 6, 18 * (1 + 2 + 2) - 7],
    "math_4shot": [
        next(x for x in range(-100, 100) if 3 * (x - 4) == 2 * x + 5),
        Fraction(sum(a + b == 5 for a, b in itertools.product(range(1, 7), repeat=2)), 36),
        Fraction(9 + 12 - math.isqrt(9**2 + 12**2), 2), math.sqrt(50) + math.sqrt(8)],
}


def test_sets_hold_what_their_names_say():
    assert {name: len(named.shots) for name, named in prompt_sets().items()} == {"gsm8k_8shot": 8, "math_4shot": 4}


@pytest.mark.parametrize(("name", "shot"), SHOTS)
def test_every_example_is_right_by_our_own_verifier_and_equations(name, shot):
    assert verify(shot.answer, shot.solution).verdict == "correct"
    assert first_false_step(shot.solution.splitlines(keepends=True)) is None
    if name == "gsm8k_8shot":
        steps = shot.solution.splitlines()[:-1]
        assert all(equation.holds for step in steps for equation in equations(step)) and any(map(equations, steps))


def value(answer):
    """A number from the few forms that answers of the sets have."""
    if answer.endswith("\\sqrt{2}"):
        return int(answer.removesuffix("\\sqrt{2}")) * math.sqrt(2)
    return Fraction(answer.removeprefix("\\frac{").removesuffix("}").replace("}{", "/"))


@pytest.mark.parametrize("name", sorted(RECOMPUTED))
def test_every_example_has_the_answer_that_we_compute_anew(name):
    answers = [value(shot.answer) for shot in prompt_sets()[name].shots]
    assert answers == pytest.approx([float(number) for number in RECOMPUTED[name]], rel=1e-12)


@pytest.mark.parametrize("name", sorted(RECOMPUTED))
def test_set_shows_every_example_and_the_problem_as_they_are(name):
    asked = "Is {{ 7 * 7 }} or \\frac{1}{2} more?"
    text = render(name, asked, "tiny")
    assert all(shot.problem in text and shot.solution in text for shot in prompt_sets()[name].shots)
    assert text.count(asked) == 1 and text.endswith(":\n")
    for stop in prompt_sets()[name].stop:
        assert text.count(stop) == len(prompt_sets()[name].shots), "what begins the next problem ends a completion"
        assert not any(stop in shot.solution for shot in prompt_sets()[name].shots)


def generator(**options):
    return EmbeddedGenerator(name="t", engine="embedded", **options)


def test_stop_strings_come_with_the_set_unless_the_recipe_names_some():
    assert sampling_of(generator(prompt="gsm8k_8shot"))["stop"] == ["\n\nQuestion:", "\nQuestion:"]
    assert sampling_of(generator(prompt="gsm8k_8shot", stop=()))["stop"] == []
    assert sampling_of(generator(prompt="math_4shot", stop=["END"]))["stop"] == ["END"]
    assert sampling_of(generator())["stop"] == []


@pytest.mark.parametrize("prompt", sorted(PROMPTS))
def test_named_prompts_are_templates(prompt):
    check_prompt(prompt, "tiny")
    assert generator_id(generator(prompt=prompt)) == generator_id(generator(prompt=PROMPTS[prompt]))


@pytest.mark.parametrize(("prompt", "message"), [
    ("instuct", "neither one of .*instruct.*gsm8k_8shot.*chat.*nor a Jinja template"),
    ("{{ question }}", "'question' is undefined; it may use `problem` alone"),
    ("{{ problem }} {% if %}", "cannot be rendered: Expected an expression"),
    ("{{ problem | nosuch }}", "No filter named 'nosuch'"),
    ("{{ problem.__class__.__mro__ }}", "unsafe"),
    ("{{ 1 }}", "does not contain the problem"),
    ("{{ problem | upper }}", "does not contain the problem"),
    ("{{ problem / 2 }}", "cannot be rendered"),
    ("chat", "no chat template"),
])
def test_wrong_prompt_is_told(prompt, message):
    with pytest.raises(UserError, match=message):
        check_prompt(prompt, "tiny")


CHAT = ("{% for message in messages %}{{ bos_token if loop.first }}<|{{ message['role'] }}|>\n"
        "{{ message['content'] | trim }}\n<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}")


@pytest.fixture(scope="module")
def chatty(tmp_path_factory):
    """The shipped model with a chat template."""
    folder = tmp_path_factory.mktemp("chatty")
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    AutoModelForCausalLM.from_pretrained(SHIPPED).save_pretrained(folder)
    return folder


def test_chat_is_the_models_own_template_up_to_the_assistants_turn(chatty):
    assert render("chat:{{ problem }} Why?", "2 + 2?", str(chatty)) == (
        "<s><|user|>\n2 + 2? Why?\n<|end|>\n<|assistant|>\n")
    assert ASKED.replace("{{ problem }}", "2 + 2?") in render("chat", "2 + 2?", str(chatty))
    assert "The answer is <answer>" in render("chat: instruct", "2 + 2?", str(chatty))
    assert CHAT in template_text("chat", str(chatty))


def test_mark_that_the_tokenizer_writes_itself_is_left_to_it(chatty, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(chatty)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)])
    tokenizer.save_pretrained(tmp_path)
    text = render("chat", "2 + 2?", str(tmp_path))
    assert text.startswith("<|user|>")
    assert AutoTokenizer.from_pretrained(tmp_path)(text).input_ids.count(tokenizer.bos_token_id) == 1


def test_template_that_tells_the_date_gives_the_same_prompt_every_day(chatty, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(chatty)
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }} {{ messages[0]['content'] }}"
    tokenizer.save_pretrained(tmp_path)
    assert render("chat:{{ problem }}", "2?", str(tmp_path)) == "26 Jul 2024 2?"


def test_chat_run_asks_in_the_models_own_form_and_publishes_what_was_asked(chatty, tmp_path):
    options = {"engine": "embedded", "model": str(chatty), "samples": 1, "max_tokens": 40}
    execute({"name": "chat", "problems": [{"source": "arithmetic", "limit": 2, "steps": [2, 2]}],
             "generators": [{"name": "chatty", "prompt": "chat:{{ problem }}", **options}],
             "release": {"configs": ["unpaired", "negatives"], "keep_truncated": True, "splits": {}},
             "executor": {"tasks": 1, "workers": 1}}, tmp_path)
    prompts = [row["prompt"] for config in ("unpaired", "negatives")
               for path in (tmp_path / "release" / config).glob("*.parquet") for row in read_rows(path)]
    assert prompts and all(text.startswith("<s><|user|>\n") and text.endswith("<|assistant|>\n") for text in prompts)
