"""A tiny model, a small tokenizer and a small release, made once for all tests of the trainers; nothing is shipped."""

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

PROBLEMS = 24


def problem(index: int) -> dict:
    """Two sums, a correct solution of two steps and one that goes wrong at its second step."""
    rng = random.Random(index)
    a, b, c = (rng.randint(2, 40) for _ in range(3))
    prompt = f"Add {a}, {b} and {c}.\n"
    total = a + b + c
    return {
        "problem_id": f"p{index}", "prompt": prompt, "answer": str(total), "first": f"{a} + {b} = {a + b}\n",
        "right": f"{a + b} + {c} = {total}\n", "end": f"The answer is {total}.",
        "wrong": f"{a + b} + {c} = {total + 1}\n", "bad_end": f"The answer is {total + 1}.",
    }


def rows_of_release() -> dict[str, list[dict]]:
    """Rows of every config that trainers read."""
    made: dict[str, list[dict]] = {name: [] for name in (
        "positives", "negatives", "unpaired", "pairs", "step_pairs", "stepwise", "weighted", "problems", "rl")}
    for index in range(PROBLEMS):
        it = problem(index)
        base = {"problem_id": it["problem_id"], "prompt": it["prompt"]}
        good, bad = it["first"] + it["right"] + it["end"], it["first"] + it["wrong"] + it["bad_end"]
        ids = {"chosen_id": f"s{index}", "rejected_id": f"n{index}"}
        made["problems"].append({
            "problem_id": it["problem_id"], "problem": it["prompt"].strip(), "answer": it["answer"],
            "n_samples": 2, "n_correct": 1, "pass_rate": 0.5, "generator": "test"})
        made["rl"].append(base | {"answer": it["answer"], "pass_rate": 0.5, "n_samples": 2, "source": "tests"})
        made["positives"].append(base | {
            "solution_id": f"s{index}", "generator": "test", "completion": good, "complete": True})
        made["negatives"].append(base | {
            "solution_id": f"n{index}", "generator": "test", "completion": bad, "complete": True, "pit_index": 1})
        made["unpaired"].append(base | {"solution_id": f"s{index}", "completion": good, "label": True})
        made["unpaired"].append(base | {"solution_id": f"n{index}", "completion": bad, "label": False})
        made["pairs"] += [base | ids | {"chosen": good, "rejected": bad, "rule": rule}
                          for rule in ("random", "max_edit_distance")]
        made["step_pairs"].append(base | ids | {
            "chosen": good, "rejected": it["first"] + it["wrong"], "chosen_complete": True, "rejected_complete": False,
            "mode": "full_vs_truncated", "pit_index": 1, "q_chosen": 1.0, "q_rejected": 0.0})
        made["step_pairs"].append(base | ids | {
            "prompt": it["prompt"] + it["first"], "chosen_id": None, "chosen": it["right"], "rejected": it["wrong"],
            "chosen_complete": False, "rejected_complete": False, "mode": "shared_prefix", "pit_index": 1,
            "q_chosen": 0.9, "q_rejected": 0.1})
        made["stepwise"].append(base | {
            "solution_id": f"n{index}", "completions": [it["first"], it["wrong"], it["bad_end"]],
            "labels": [True, False, False], "values": [0.75, 0.0, 0.0], "rollouts": [8, 8, 0],
            "successes": [6, 0, 0]})
        ends = [len(it["first"]), len(it["first"] + it["wrong"]), len(bad)]
        made["weighted"].append(base | {"solution_id": f"n{index}", "completion": bad, "ends": ends,
                                        "weights": [1.5, 0.25, 1.25]})
    return made


def write_release(folder: Path, rows: dict[str, list[dict]], version: str = "1.0.0") -> Path:
    """A release as the pipeline writes it: Parquet shards and a manifest with their checksums."""
    files = {"README.md": {"sha256": "0" * 64, "bytes": 1}}  # as published: the card has no config and no split
    for config, config_rows in rows.items():
        file = folder / config / "train-00000-of-00001.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(config_rows), file)
        files[file.relative_to(folder).as_posix()] = {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size,
            "rows": len(config_rows), "config": config, "split": "train"}
    configs = {config: {"columns": {field.name: str(field.type) for field in pq.read_schema(
        folder / config / "train-00000-of-00001.parquet")}, "rows": {"train": len(config_rows)}}
        for config, config_rows in rows.items()}
    manifest = {"name": "tests", "recipe": {"name": "tests", "release": {"version": version}}, "configs": configs,
                "files": files, "left_out": {"rollouts": "no rows"}}
    (folder / "stepforge.json").write_text(json.dumps(manifest))
    return folder


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 320 tokens over the tests' own text, so that tokens hold several characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [row["prompt"] + row["completion"] for row in rows_of_release()["positives"]]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<eos>", "<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")


@pytest.fixture(scope="session", autouse=True)
def quiet() -> Iterator[None]:
    """One thread, so that the tests of several files can run side by side, and no network."""
    patch = pytest.MonkeyPatch()
    patch.setenv("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama of two layers, 32 wide, with its tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True, eos_token_id=0, pad_token_id=1,
        bos_token_id=None)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def with_bos(tiny: Path) -> PreTrainedTokenizerFast:
    """The same tokenizer, one that writes BOS before every text."""
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(tiny, bos_token="<bos>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)])
    return tokenizer


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of versions that holds v1.0.0."""
    folder = tmp_path_factory.mktemp("release")
    write_release(folder / "v1.0.0", rows_of_release())
    return folder


@pytest.fixture
def templated(tmp_path: Path) -> Path:
    """A release whose prompts begin with BOS, as a chat template writes it."""
    rows = rows_of_release()["rl"]
    return write_release(tmp_path / "templated", {"rl": [row | {"prompt": "<bos>" + row["prompt"]} for row in rows]})
