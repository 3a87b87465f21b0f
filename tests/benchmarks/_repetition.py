"""Samples in any number that repeat each other as real ones do: real samples of ten problems, resampled and perturbed.

In: the folder with 100 samples of each of ten GSM8K problems by two models (STEPFORGE_TEST_DATA). Out: a Parquet file
with the columns of `sample` (pipelines/stages/samples.sql). Every made-up problem takes all samples of one real
problem and model in a random order, so that texts and equation lists repeat as they do there; then 15% of the texts
become new ones, 2% of the equation lists, and 5% of the outcomes change.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.pipelines.answers import equation_key

SAMPLES = 100
NEW_TEXT, NEW_EQUATIONS, OTHER_OUTCOME = 0.15, 0.02, 0.05
CHUNK = 1000  # problems in memory at a time
MODELS = ("llama7b-2", "mistral7b")


class Pool(NamedTuple):
    """All samples of one model for one problem: texts, and for each the number of its class."""

    generator: str
    texts: list[str]
    text: np.ndarray
    equations: np.ndarray
    correct: np.ndarray


def real_pools() -> list[Pool]:
    """Twenty pools of a hundred samples; exits with a reason where the real samples are not there."""
    folder = os.environ.get("STEPFORGE_TEST_DATA")
    if not folder:
        raise SystemExit("STEPFORGE_TEST_DATA names no folder with real samples; this benchmark resamples them")
    pools = []
    for model in MODELS:
        for line in Path(folder, f"samples_gsm8k_10x{SAMPLES}_{model}.jsonl").read_text().splitlines():
            outputs = json.loads(line)["outputs"]
            texts = [output["response"] for output in outputs]
            pools.append(Pool(model, texts, _numbered([" ".join(text.split()) for text in texts]),
                              _numbered([equation_key(text) for text in texts]),
                              np.array([str(output["label"]).lower() == "true" for output in outputs])))
    return pools


def _numbered(keys: list[str]) -> np.ndarray:
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.uint64)


def write_samples(path: Path, problems: int, texts: bool = False) -> None:
    """Write `problems` times a hundred rows, a thousand problems in memory at a time; the same call, the same file.

    With `texts` there is a column `solution`: the real text, and in place of a new one a real one with another word.
    """
    pools, draw = real_pools(), np.random.default_rng(5)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for first in range(0, problems, CHUNK):
        rows = _rows(pools, draw, first, min(CHUNK, problems - first), texts)
        writer = writer or pq.ParquetWriter(path, rows.schema, compression="zstd")
        writer.write_table(rows)
    if writer:
        writer.close()


def _rows(pools: list[Pool], draw: np.random.Generator, first: int, problems: int, texts: bool) -> pa.Table:
    shape, rows = (problems, SAMPLES), problems * SAMPLES
    chosen = draw.integers(len(pools), size=problems)
    order = draw.permuted(np.tile(np.arange(SAMPLES), (problems, 1)), axis=1)
    text, equations, correct = (np.stack([getattr(pool, name) for pool in pools])[chosen[:, None], order]
                                for name in ("text", "equations", "correct"))
    fresh = np.arange(SAMPLES, 2 * SAMPLES, dtype=np.uint64)
    text = np.where(draw.random(shape) < NEW_TEXT, fresh, text)
    equations = np.where(draw.random(shape) < NEW_EQUATIONS, fresh, equations)
    correct = correct ^ (draw.random(shape) < OTHER_OUTCOME)
    written = {"solution": _written(pools, chosen, text)} if texts else {}
    problem = np.repeat(np.arange(first, first + problems, dtype=np.uint64), SAMPLES)
    position = np.arange(first * SAMPLES, first * SAMPLES + rows)
    return pa.table({
        "solution_id": [f"{key:032x}" for key in _mixed(position.astype(np.uint64), 1).tolist()],
        "problem_id": np.repeat([f"{key:032x}" for key in _mixed(problem[::SAMPLES], 2).tolist()], SAMPLES),
        "generator": np.repeat([pools[pool].generator for pool in chosen], SAMPLES),
        "position": position, "complete": draw.random(rows) < 0.99, "correct": correct.ravel(),
        "counts": draw.random(rows) < 0.998, "characters": draw.integers(100, 600, rows),
        "text_key": _mixed(problem * np.uint64(1000) + text.ravel(), 3),
        "equation_key": _mixed(problem * np.uint64(1000) + equations.ravel(), 4), **written,
    })


def _written(pools: list[Pool], chosen: np.ndarray, text: np.ndarray) -> list[str]:
    """The text of every number in `text`; a number from SAMPLES on is that of a new text."""
    known = [dict(zip(pool.text.tolist(), pool.texts, strict=True)) for pool in pools]
    return [known[pool].get(number) or _changed(pools[pool].texts[number % SAMPLES], number)
            for pool, numbers in zip(chosen, text.tolist(), strict=True) for number in numbers]


def _changed(text: str, number: int) -> str:
    words = text.split(" ")
    words.insert(number % len(words), f"also{number}")
    return " ".join(words)


def _mixed(values: np.ndarray, salt: int) -> np.ndarray:
    """Different numbers for different `values` (the steps can be undone), spread over 64 bits (splitmix64)."""
    mixed = values * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
