"""Tokens are cut where the prompt ends, the prefix carries no loss, and EOS follows real ends only."""

from pathlib import Path

import pytest
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from trl.trainer.dpo_trainer import DataCollatorForPreference

from stepforge.train.dpo import encode_pair
from stepforge.train.release import ReleaseError, open_release
from stepforge.train.tokens import IGNORE, encode, labelled, load_tokenizer, step_of_each_token


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(str(tiny))


@pytest.fixture(scope="module")
def step_pairs(release: Path) -> Dataset:
    return open_release(str(release), "v1.0.0").rows("step_pairs", "train", {"prompt": "text"})


def test_eos_follows_only_a_complete_solution(tokenizer: PreTrainedTokenizerBase) -> None:
    done = encode(tokenizer, "Add 1.\n", "1 + 1 = 2\n", complete=True)
    cut = encode(tokenizer, "Add 1.\n", "1 + 1 = 2\n", complete=False)
    assert done.completion == [*cut.completion, tokenizer.eos_token_id]
    assert tokenizer.eos_token_id not in cut.prompt + cut.completion


def test_joined_tokens_are_those_of_the_whole_text(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = encode(tokenizer, "Add 12, 7 and 3.\n", "12 + 7 = 19\nThe answer is 22.", complete=False)
    assert tokens.prompt + tokens.completion == tokenizer("Add 12, 7 and 3.\n12 + 7 = 19\nThe answer is 22.").input_ids
    assert tokenizer.decode(tokens.completion) == "12 + 7 = 19\nThe answer is 22."


def test_token_across_the_cut_changes_neither_side(tokenizer: PreTrainedTokenizerBase) -> None:
    whole = tokenizer("The answer").input_ids
    assert len(tokenizer("The ans").input_ids) + len(tokenizer("wer").input_ids) > len(whole)  # a token does straddle
    tokens = encode(tokenizer, "The ans", "wer", complete=False)
    assert tokens.prompt == tokenizer("The ans").input_ids
    assert tokenizer.decode(tokens.prompt) == "The ans" and tokenizer.decode(tokens.completion) == "wer"


def test_prompt_carries_no_loss(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = encode(tokenizer, "Add 1.\n", "1 + 1 = 2\n", complete=True)
    row = labelled(tokens)
    assert row["labels"] == [IGNORE] * len(tokens.prompt) + tokens.completion
    assert row["input_ids"] == tokens.prompt + tokens.completion and row["length"] == len(row["input_ids"])


def test_every_token_belongs_to_the_step_of_its_last_character(tokenizer: PreTrainedTokenizerBase) -> None:
    text, ends = "1 + 2 = 3\n3 + 4 = 7\nThe answer is 7.", [10, 20, 36]
    tokens = encode(tokenizer, "Add.\n", text, complete=True)
    steps = step_of_each_token(tokens, ends, len(text))
    pieces = ["".join(tokenizer.decode([t]) for t, s in zip(tokens.completion, steps, strict=True) if s == step)
              for step in range(3)]
    assert pieces == ["1 + 2 = 3\n", "3 + 4 = 7\n", "The answer is 7.<eos>"]


@pytest.mark.parametrize("ends", [[], [4, 2, 5], [3, 3, 5], [2, 9]])
def test_ends_that_do_not_fit_the_completion_are_refused(tokenizer: PreTrainedTokenizerBase, ends: list[int]) -> None:
    with pytest.raises(ReleaseError, match="the ends of the steps"):
        step_of_each_token(encode(tokenizer, "Add.\n", "1 + 2", complete=False), ends, 5)


def test_tokenizer_that_appends_eos_is_refused(tiny: Path, tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 0)])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ReleaseError, match="appends EOS"):
        load_tokenizer(str(tmp_path))


def test_bos_stands_once_whether_the_tokenizer_or_the_chat_template_brings_it(
    tokenizer: PreTrainedTokenizerBase, with_bos: PreTrainedTokenizerBase
) -> None:
    bos = with_bos.bos_token_id
    assert with_bos("Add 1.\n").input_ids.count(bos) == 1  # this tokenizer adds BOS by itself
    plain, templated = (encode(with_bos, start + "Add 1.\n", "1 + 1 = 2", complete=True) for start in ("", "<bos>"))
    assert plain == templated and plain.prompt[0] == bos and plain.prompt.count(bos) == 1
    assert bos not in plain.completion
    straddling = [encode(with_bos, start + "The ans", "wer", complete=False) for start in ("", "<bos>")]
    assert straddling[0] == straddling[1] and bos not in straddling[0].completion  # tokenized apart: no second BOS
    assert encode(tokenizer, "Add 1.\n", "2", complete=True).prompt == plain.prompt[1:]  # one without BOS gets none


def test_full_vs_truncated_ends_the_chosen_and_not_the_rejected(
    tokenizer: PreTrainedTokenizerBase, step_pairs: Dataset
) -> None:
    rows = [row for row in step_pairs if row["mode"] == "full_vs_truncated"]
    assert rows
    for row in rows:
        encoded = encode_pair(tokenizer, row)
        prompt, chosen, rejected = (encoded[key] for key in ("prompt_ids", "chosen_ids", "rejected_ids"))
        assert prompt == tokenizer(row["prompt"]).input_ids
        assert prompt + chosen == [*tokenizer(row["prompt"] + row["chosen"]).input_ids, tokenizer.eos_token_id]
        assert prompt + rejected == tokenizer(row["prompt"] + row["rejected"]).input_ids


def test_shared_prefix_is_masked_and_token_exact_and_neither_side_ends(
    tokenizer: PreTrainedTokenizerBase, step_pairs: Dataset
) -> None:
    rows = [row for row in step_pairs if row["mode"] == "shared_prefix"][:4]
    pairs = [encode_pair(tokenizer, row) for row in rows]
    batch = DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)(
        [{key: value for key, value in pair.items() if key != "length"} for pair in pairs])
    for side, offset in (("chosen", 0), ("rejected", 4)):
        for index, row in enumerate(rows):
            ids, seen, loss = (batch[key][offset + index]
                               for key in ("input_ids", "attention_mask", "completion_mask"))
            text = row["prompt"] + row[side]
            assert ids[seen == 1].tolist() == tokenizer(text).input_ids
            assert tokenizer.decode(ids[(seen == 1) & (loss == 0)]) == row["prompt"]
            assert tokenizer.decode(ids[loss == 1]) == row[side]
            assert tokenizer.eos_token_id not in ids.tolist()
