"""Prefixes are continued by the tokens that were written, where a step ends with one."""

import json
import shutil

import pytest

from stepforge.pipelines.credit.tokens import keep, prefix_ids, tokens_of
from stepforge.pipelines.inference.embedded import shared_sampler
from stepforge.pipelines.inference.models import SHIPPED, load_tokenizer
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
    by_prefix, start = prefix_ids(tokens_of(TINY), PROMPT, text, ids, ends), load_tokenizer("tiny")(PROMPT).input_ids
    assert ends and list(by_prefix) == [text[:end] for end in ends]
    for prefix, tokens in by_prefix.items():
        assert tokens[:len(start)] == start and tokens[len(start):] == ids[:len(tokens) - len(start)]
        assert complete(tokens)["text"] == text[len(prefix):]


def test_an_end_within_a_token_is_left_to_the_tokenizer(written: dict) -> None:
    text, ids = written["text"], written["token_ids"]
    longest = max((load_tokenizer("tiny").decode([token]) for token in ids), key=len)
    inside = text.index(longest) + 1
    assert len(longest) > 2 and prefix_ids(tokens_of(TINY), PROMPT, text, ids, [inside]) == {}


def test_other_texts_and_other_engines_are_left_to_the_tokenizer(written: dict) -> None:
    text, ids = written["text"], written["token_ids"]
    assert prefix_ids(tokens_of(TINY), PROMPT, "Something else.\nYes.", ids, [16]) == {}
    assert prefix_ids(tokens_of(TINY), PROMPT, text, None, [1]) == {}
    endpoint = EndpointGenerator(name="e", engine="endpoint", url="http://localhost:1/v1", model="m")
    with_tokenizer = VllmGenerator(name="v", engine="vllm", model="tiny", arguments=("--tokenizer", "other"))
    missing = VllmGenerator(name="v", engine="vllm", model="/no/such/folder")
    for generator in (endpoint, with_tokenizer, missing):
        assert prefix_ids(tokens_of(generator), PROMPT, text, ids, [len(text)]) == {}


def test_vllm_reads_what_the_embedded_engine_would_read(written: dict) -> None:
    text, ids = written["text"], written["token_ids"]
    served = VllmGenerator(name="v", engine="vllm", model="tiny")
    ends = [i + 1 for i, c in enumerate(text) if c == "\n"]
    of_vllm, ours = (prefix_ids(tokens_of(each), PROMPT, text, ids, ends) for each in (served, TINY))
    assert of_vllm == ours != {}


TEXTS = ("", " Two  spaces .\n", "½ of 10³ is “500”, isn't it?\r\n", "<s>1<pad> 2</s>", "日本 🙂\t|\\frac{1}{2}|",
         "x" * 3000)


@pytest.mark.parametrize(("options", "kept"), [
    ({}, True), ({"add_bos_token": True}, True), ({"model_max_length": 8}, True),
    ({"clean_up_tokenization_spaces": True}, False), ({"split_special_tokens": True}, False)])
def test_a_kept_tokenizer_reads_and_writes_what_transformers_does(tmp_path, options: dict, kept: bool) -> None:
    folder, path = tmp_path / "model", tmp_path / "kept.json"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | options))
    generator = VllmGenerator(name="v", engine="vllm", model=str(folder))
    keep(generator, path)
    assert path.exists() == kept
    plain, whole = tokens_of(generator, path), tokens_of(generator)
    assert plain is not None and whole is not None
    for text in TEXTS:
        ids = whole.encode(text)
        assert plain.encode(text) == ids
        assert plain.decode(ids) == whole.decode(ids) and plain.decode(ids[1:]) == whole.decode(ids[1:])


def test_a_tokenizer_that_is_not_at_hand_is_not_kept(tmp_path) -> None:
    keep(VllmGenerator(name="v", engine="vllm", model="/no/such/folder"), tmp_path / "kept.json")
    assert not list(tmp_path.iterdir())
