"""How much of the next version must be uploaded: chunks that a content-defined store does not have yet.

Two versions of a release are written as the product writes them. Their files are cut as such stores cut them (rolling
gear hash, chunks of 8 to 128 KiB, 64 KiB on average) and every chunk is hashed; the share is bytes of new chunks over
all bytes of the new version. Three next versions: 5% more problems at the end, 0.1% of the rows changed in scattered
places, and 5% more problems put in at 20 places. Each is measured beside the same without content-defined pages, and
the first also with rows in the order of their hashed ids. Writes build/bench/publish.json.
"""

import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from stepforge.builders import release
from stepforge.builders.parquet import write_rows
from stepforge.builders.release import write_release
from stepforge.builders.tables import BOOL, INT, TEXT, column, content_id

PROBLEMS, SAMPLES = 20_000, 8
SCHEMA = pa.schema([
    column("problem_id", TEXT, "Problem."), column("solution_id", TEXT, "Solution."),
    column("generator", TEXT, "Generator."), column("prompt", TEXT, "Prompt."),
    column("completion", TEXT, "Completion."), column("complete", BOOL, "Ended."),
    column("pit_index", INT, "Pit.", nullable=True), column("split", TEXT, "Split.")])
WORDS = ["so", "then", "apples", "half", "twice", "each", "box", "left", "gives", "total", "day", "cost", "more",
         "adds", "pears", "price", "hours", "we", "have", "the", "number", "of", "and", "from", "is", "per", "week"]
GEAR = np.random.default_rng(64).integers(0, 2**64, 256, dtype=np.uint64)
MINIMUM, MAXIMUM, MASK = 8 << 10, 128 << 10, np.uint64(0xFFFF << 48)


def problem_rows(problem: int, salt: int = 0) -> Iterator[dict]:
    """The rows of one problem: a prompt that its samples share, and texts with numbers like those of solutions."""
    draw = random.Random(f"{problem} {salt}")
    problem_id = content_id("problem", problem, salt)
    prompt = "Question: " + _sentence(draw, 40) + "\nAnswer:\n"
    split = "test" if problem % 20 == 0 else "train"
    for sample in range(SAMPLES):
        text = "\n".join(_sentence(draw, 14) for _ in range(draw.randint(3, 8)))
        yield {"problem_id": problem_id, "solution_id": content_id(problem_id, sample, salt), "generator": "weak",
               "prompt": prompt, "completion": text, "complete": True, "split": split,
               "pit_index": draw.choice([None, draw.randint(0, 7)])}


def _sentence(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) if draw.random() < 0.7 else str(draw.randint(1, 9999)) for _ in range(words))


def write_version(folder: Path, rows: list[dict], chunked: bool) -> Path:
    """A release of one config as the product writes it; without content-defined pages for the other side."""
    write_rows(folder / "rows.parquet", rows, SCHEMA)
    kept = release.open_shard
    if not chunked:
        release.open_shard = lambda path, schema: kept(path, schema, chunking=False)
    try:
        write_release(folder / "release", {"negatives": folder / "rows.parquet"}, {"name": "bench"})
    finally:
        release.open_shard = kept
    return folder / "release/negatives"


def chunks(content: bytes) -> Iterator[bytes]:
    """Cut where the gear hash of the last 64 bytes has its 16 highest bits clear."""
    hashes = GEAR[np.frombuffer(content, dtype=np.uint8)]
    width = 1
    while width < 64:  # H_2w[i] = H_w[i] + (H_w[i - w] << w), so six steps give the hash over 64 bytes
        shifted = np.zeros_like(hashes)
        shifted[width:] = hashes[:-width] << np.uint64(width)
        hashes = hashes + shifted
        width *= 2
    cuts = np.flatnonzero((hashes & MASK) == 0) + 1
    start = 0
    while start < len(content):
        later = cuts[np.searchsorted(cuts, start + MINIMUM):]
        stop = min(int(later[0]) if len(later) else len(content), start + MAXIMUM, len(content))
        yield content[start:stop]
        start = stop


def stored(folder: Path) -> dict[bytes, int]:
    """Length by hash, of all chunks of a folder's files."""
    return {hashlib.sha256(chunk).digest(): len(chunk)
            for path in sorted(folder.glob("*.parquet")) for chunk in chunks(path.read_bytes())}


def share(old: dict[bytes, int], new: dict[bytes, int]) -> float:
    return sum(size for key, size in new.items() if key not in old) / sum(new.values())


def next_versions(base: list[list[dict]]) -> dict[str, list[list[dict]]]:
    """Problems with their rows, as the next version would have them."""
    draw = random.Random(5)
    more = [list(problem_rows(PROBLEMS + index)) for index in range(PROBLEMS // 20)]
    scattered = [list(rows) for rows in base]
    for index in draw.sample(range(PROBLEMS), PROBLEMS * SAMPLES // 1000):
        scattered[index][0] = {**scattered[index][0], "completion": scattered[index][0]["completion"] + " (corrected)"}
    inserted, run = list(base), len(more) // 20
    for number, place in enumerate(sorted(draw.sample(range(PROBLEMS), 20), reverse=True)):
        inserted[place:place] = more[number * run:(number + 1) * run]
    return {"appended": base + more, "scattered": scattered, "inserted": inserted}


def main() -> None:
    scratch = Path(tempfile.mkdtemp(prefix="stepforge-bench-"))
    try:
        print_and_save(measure(scratch))
    finally:
        shutil.rmtree(scratch)


def measure(scratch: Path) -> dict[str, float]:
    base = [list(problem_rows(index)) for index in range(PROBLEMS)]
    after = next_versions(base)
    result: dict[str, float] = {}
    for suffix, chunked in (("", True), ("_without", False)):
        old = stored(write_version(scratch / f"old{suffix}", _flat(base), chunked))
        for name, problems in after.items():
            new = stored(write_version(scratch / "new", _flat(problems), chunked))
            result[f"{name}_share{suffix}"] = share(old, new)
            result[f"bytes{suffix}"] = sum(new.values())
    by_id = [sorted(_flat(problems), key=lambda row: row["solution_id"]) for problems in (base, after["appended"])]
    versions = [stored(write_version(scratch / f"by_id{index}", rows, True)) for index, rows in enumerate(by_id)]
    result["appended_share_ordered_by_id"] = share(*versions)
    return result


def _flat(problems: list[list[dict]]) -> list[dict]:
    return [row for rows in problems for row in rows]


def print_and_save(result: dict[str, float]) -> None:
    print(f"share of bytes to upload (new version: {result['bytes'] / 1e6:.1f} MB)")
    print(f"{'next version':34}{'as published':>14}{'plain pages':>14}{'ratio':>8}")
    for name in ("appended", "scattered", "inserted"):
        with_, without = result[f"{name}_share"], result[f"{name}_share_without"]
        print(f"{name:34}{with_:14.1%}{without:14.1%}{without / with_:8.2f}")
    print(f"{'appended, rows ordered by id':34}{result['appended_share_ordered_by_id']:14.1%}")
    path = Path("build/bench/publish.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
