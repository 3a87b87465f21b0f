"""A small release of made-up rows that follow the contract of the release: problems `a + b`, two solutions each."""

import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from stepforge.builders import release
from stepforge.builders.configs import CONFIGS
from stepforge.builders.parquet import write_rows
from stepforge.builders.release import split_of, write_release
from stepforge.builders.tables import content_id

TEXTS = ("prompt", "chosen", "rejected")
IDS = ("problem_id", "solution_id")
COLUMNS = {
    "positives": (*IDS, "generator", "prompt", "completion", "complete", "soundness"),
    "negatives": (*IDS, "generator", "prompt", "completion", "complete", "pit_index", "fall_low"),
    "unpaired": (*IDS, "prompt", "completion", "complete", "label", "soundness"),
    "pairs": ("problem_id", "chosen_id", "rejected_id", "prompt", "chosen", "rejected", "chosen_soundness",
              "chosen_complete", "rejected_complete", "rule"),
    "step_pairs": ("problem_id", "chosen_id", "rejected_id", "prompt", "chosen", "rejected", "chosen_soundness",
                   "chosen_complete", "rejected_complete", "mode", "pit_index", "fall_low", "q_chosen", "q_rejected"),
    "stepwise": (*IDS, "prompt", "completions", "labels", "values", "rollouts"),
    "weighted": (*IDS, "prompt", "completion", "ends", "weights"),
    "solutions": (*IDS, "generator", "solution", "verdict", "method", "soundness"),
    "problems": ("problem_id", "problem", "answer", "group_id"),
    "steps": ("solution_id", "problem_id", "step_index", "step", "q", "advantage", "is_pit", "fall_low"),
}

def rows_of(problems: range, seed: int = 0) -> dict[str, list[dict]]:
    """Rows of every config for problems `a + b`, in the order of the problems."""
    tables: dict[str, list[dict]] = {name: [] for name in COLUMNS}
    for a in problems:
        problem = f"Ann has {a} pears and picks {a % 7} more. How many has she?"
        problem_id, right, wrong = content_id("problem", a), content_id("right", a, seed), content_id("wrong", a, seed)
        split = split_of(problem_id, 0, "train", {"test": 0.2})
        steps = [f"She picks {a % 7} more.\n", f"{a} + {a % 7} = {a + a % 7}\n", f"#### {a + a % 7}"]
        false = [steps[0], f"{a} + {a % 7} = {a + a % 7 + 1}\n", f"#### {a + a % 7 + 1}"]
        good, bad, prompt = "".join(steps), "".join(false), f"Question: {problem}\nAnswer:\n"
        common = {"problem_id": problem_id, "split": split, "prompt": prompt, "generator": "tiny", "complete": True,
                  "soundness": "unchecked", "origin": "sample"}
        positive = {**common, "solution_id": right, "completion": good, "label": True, "pit_index": None}
        negative = {**common, "solution_id": wrong, "completion": bad, "label": False, "pit_index": 1, "fall_low": 0.3}
        ends = [len(steps[0]), len(steps[0] + steps[1]), len(good)]
        pair = {**common, "chosen_id": right, "rejected_id": wrong, "chosen": good, "rejected": bad, "rule": "random",
                "chosen_soundness": "unchecked", "chosen_complete": True, "rejected_complete": True}
        for name, row in [
            ("positives", positive), ("negatives", negative), ("unpaired", positive), ("unpaired", negative),
            ("pairs", pair),
            ("step_pairs", {**pair, "chosen_id": None, "prompt": prompt + steps[0], "chosen": steps[1],
                            "rejected": false[1], "chosen_complete": False, "rejected_complete": False,
                            "mode": "shared_prefix", "pit_index": 1, "fall_low": 0.3, "q_chosen": 0.9,
                            "q_rejected": 0.0}),
            ("stepwise", {**negative, "completions": false, "labels": [True, False, False],
                          "values": [0.8, 0.0, 0.0], "rollouts": [8, 8, 0]}),
            ("weighted", {**positive, "ends": ends, "weights": [1.0, 1.5, 0.5]}),
            ("solutions", {**positive, "solution": good, "verdict": "correct", "method": "literal"}),
            ("solutions", {**negative, "solution": bad, "verdict": "incorrect", "method": "numeric"}),
            ("problems", {**common, "problem": problem, "answer": str(a + a % 7), "group_id": problem_id}),
            *[("steps", {**negative, "step_index": i, "step": step, "q": [0.8, 0.0, 0.0][i], "is_pit": i == 1,
                         "fall_low": 0.3 if i == 1 else None,
                         "advantage": [0.1, -0.8, 0.0][i]}) for i, step in enumerate(false)],
        ]:
            tables[name].append({key: row[key] for key in (*COLUMNS[name], "split")})
    return tables


def measures() -> list[dict]:
    curve = [{"generator": "tiny", "measure": "coverage", "k": k, "value": 1 - 0.6**k, "low": 0.9 * (1 - 0.6**k),
              "high": min(1.0, 1.1 * (1 - 0.6**k)), "n": 50, "excluded": 0} for k in (1, 2, 4, 8)]
    return [*curve, {"generator": "tiny", "measure": "false_equation_rate", "k": None, "value": 0.02, "low": 0.01,
                     "high": 0.05, "n": 200, "excluded": 0}]


MANIFEST = {
    "name": "pears", "seed": 0, "recipe": {"name": "pears", "seed": 0}, "measures": measures(),
    "stages": {"verify": {"fingerprint": "ab" * 16, "version": 1, "rows_in": 10, "rows_out": 9,
                          "dropped": {"no_text": 1}}},
    "packages": {"stepforge": "0.1.0"}, "verifier": {"version": 1}, "licenses": {"arithmetic": "apache-2.0"},
    "generators": [{"name": "tiny", "generator_id": "00", "engine": "embedded", "model": "tiny", "revision": None,
                    "prompt_name": "plain", "prompt_template": "Question: {{ problem }}\nAnswer:\n",
                    "sampling": {"temperature": 0.7}}],
    "ledger": {"generate": {"prompt_tokens": 1000, "cached_prompt_tokens": 10, "completion_tokens": 5000}},
}


SMALL = ("positives", "pairs", "problems")  # enough for tests that publish; every config costs a second to load


def write_tables(folder: Path, rows: dict[str, list[dict]], without: str = "") -> dict[str, Path]:
    paths = {}
    for name, members in rows.items():
        columns = COLUMNS.get(name.removesuffix("_chat")) or (members[0] if members else CONFIGS[name].schema.names)
        fields = [CONFIGS[name].schema.field(key) for key in dict.fromkeys((*columns, "split")) if key != without]
        members = [{key: value for key, value in row.items() if key != without} for row in members]
        paths[name] = folder / f"{name}.parquet"
        write_rows(paths[name], members, pa.schema(fields))
    return paths


def write_small(folder: Path, problems: range, change: Callable[[dict], object] | None = None, without: str = "",
                chat: bool = False, only: tuple[str, ...] = tuple(COLUMNS), **manifest: object) -> Path:
    """A release in `folder`; `change` may alter its rows first, and the column `without` is left out."""
    rows = {config: members for config, members in rows_of(problems).items() if config in only}
    if chat:
        rows["pairs_chat"] = [row | {text: [{"role": "assistant", "content": row[text]}] for text in TEXTS}
                              for row in rows["pairs"]]
    if change:
        change(rows)
    write_release(folder, write_tables(folder.parent / f"{folder.name}-tables", rows, without),
                  {**MANIFEST, **manifest})
    return folder


def write_large(folder: Path, files: int, rows: int, characters: int) -> Path:
    """A release of one config in one split with so many files of so many rows, each with random `characters`.

    Rows of one number are the same in every release.
    """
    positives = rows_of(range(files * rows))["positives"]
    for number, row in enumerate(positives):
        row |= {"split": "train", "completion": random.Random(number).randbytes(characters // 2).hex()}
    tables = write_tables(folder.parent / f"{folder.name}-tables", {"positives": positives})
    usual, release.BLOCK_ROWS = release.BLOCK_ROWS, rows
    try:
        write_release(folder, tables, MANIFEST, max_shard_bytes=rows * characters, row_group_bytes=1)
    finally:
        release.BLOCK_ROWS = usual
    return folder
