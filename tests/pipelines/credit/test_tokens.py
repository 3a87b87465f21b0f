"""Prefixes are continued by the tokens that were written, where a step ends with one."""

import pytest

from stepforge.pipelines.credit.tokens import prefix_ids
from stepforge.pipelines.inference.embedded import shared_sampler
from stepforge.pipelines.inference.models import load_tokenizer
from stepforge.pipelines.options.generators import EmbeddedGenerator, EndpointGenerator, VllmGenerator

TINY = EmbeddedGenerator(name="tiny", engine="embedded")
PROMPT = "Ada has 3 apples. She buys 4 more. How many apples does she have?\n"


def complete(prompt: str | list[int]) -> dict:
    answer = shared_sampler(model="tiny").submit({"prompt": prompt, "temperature": 0.0, "max_tokens": 96}).result()
    return answer["choices"][0]


@pytest.fixture(scope="module")
def written() -> dict:
    return complete(PROMPT)


def test_a_greedy_continuation_of_each_prefix_is_the_rest_of_the_solution(written: dict) -> None:
    text, ids = written["text"], written["token_ids"]
    ends = [i + 1 for i, c in enumerate(text) if c == "\n"]
    by_prefix, start = prefix_ids(TINY, PROMPT, text, ids, ends), load_tokenizer("tiny")(PROMPT).input_ids
    assert ends and list(by_prefix) == [text[:end] for end in ends]
    for prefix, tokens in by_prefix.items():
        assert tokens[:len(start)] == start and tokens[len(start):] == ids[:len(tokens) - len(start)]
        assert complete(tokens)["text"] == text[len(prefix):]


def test_an_end_within_a_token_is_left_to_the_tokenizer(written: dict) -> None:
    text, ids = written["text"], written["token_ids"]
    longest = max((load_tokenizer("tiny").decode([token]) for token in ids), key=len)
    inside = text.index(longest) + 1
    assert len(longest) > 2 and prefix_ids(TINY, PROMPT, text, ids, [inside]) == {}


def test_other_texts_and_other_engines_are_left_to_the_tokenizer(written: dict) -> None:
    text, ids = written["text"], written["token_ids"]
    assert prefix_ids(TINY, PROMPT, "Something else.\nYes.", ids, [16]) == {}
    assert prefix_ids(TINY, PROMPT, text, None, [1]) == {}
    endpoint = EndpointGenerator(name="e", engine="endpoint", url="http://localhost:1/v1", model="m")
    with_tokenizer = VllmGenerator(name="v", engine="vllm", model="tiny", arguments=("--tokenizer", "other"))
    missing = VllmGenerator(name="v", engine="vllm", model="/no/such/folder")
    for generator in (endpoint, with_tokenizer, missing):
        assert prefix_ids(generator, PROMPT, text, ids, [len(text)]) == {}


def test_vllm_reads_what_the_embedded_engine_would_read(written: dict) -> None:
    text, ids = written["text"], written["token_ids"]
    served = VllmGenerator(name="v", engine="vllm", model="tiny")
    ends = [i + 1 for i, c in enumerate(text) if c == "\n"]
    assert prefix_ids(served, PROMPT, text, ids, ends) == prefix_ids(TINY, PROMPT, text, ids, ends) != {}
