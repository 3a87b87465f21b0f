"""`release.keep_splits`: a new version holds out the problems that an earlier one held out."""

import json
from pathlib import Path

import pytest
from helpers.runs import execute

from stepforge.builders.errors import StageFailed
from stepforge.builders.parquet import read_rows
from stepforge.pipelines.recipe import RecipeError, make_recipe


def make(folder: Path, first: int, last: int, buckets: int = 1, seed: int = 0, gold: int = 0, **release: object
         ) -> dict:
    """A recipe with recorded solutions to the problems `first` to `last`, so that no model runs; gold is added."""
    file = folder / f"{first}_{last}_{gold}.jsonl"
    file.write_text("".join(json.dumps({"problem": f"What is {n} plus {n + 1} at {'xyz'[n % 3] * (n + 1)}?",
                                        "answer": str(2 * n + 1 + gold), "solution": f"#### {2 * n + 1}"}) + "\n"
                            for n in range(first, last)))
    return {"name": "own", "seed": seed, "problems": [{"source": "files", "paths": [str(file)]}],
            "generators": [{"name": "me", "engine": "recorded", "paths": [str(file)]}],
            "deduplicate": {"near_problems": None}, "executor": {"tasks": 1, "workers": 1, "buckets": buckets},
            "release": {"splits": {"test": 0.4}, "configs": ["positives", "problems"], **release}}


def splits(run: Path) -> dict[str, str]:
    shards = (run / "release" / "problems").glob("*.parquet")
    return {row["problem_id"]: shard.name.partition("-")[0]
            for shard in shards for row in read_rows(shard, ["problem_id"])}


@pytest.mark.parametrize("buckets", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_problems_of_the_earlier_version_keep_their_split_and_new_ones_are_drawn(tmp_path: Path, buckets: int) -> None:
    to = f"local:{tmp_path / 'out'}"
    execute(make(tmp_path, 0, 20, to=to), tmp_path / "first")
    execute(make(tmp_path, 10, 40, buckets, seed=1), tmp_path / "drawn")
    execute(make(tmp_path, 10, 40, buckets, seed=1, keep_splits=f"{to}@1.0.0"), tmp_path / "kept")
    first, drawn, kept = (splits(tmp_path / name) for name in ("first", "drawn", "kept"))
    both = first.keys() & kept.keys()
    assert len(both) == 10 and {key: kept[key] for key in both} == {key: first[key] for key in both}
    assert any(drawn[key] != first[key] for key in both)
    assert {key: split for key, split in kept.items() if key not in first} == \
        {key: split for key, split in drawn.items() if key not in first}


def test_a_problem_with_a_corrected_gold_keeps_its_split(tmp_path: Path) -> None:
    to = f"local:{tmp_path / 'out'}"
    execute(make(tmp_path, 0, 20, to=to), tmp_path / "first")
    execute(make(tmp_path, 0, 20, gold=1, splits={"test": 0}, keep_splits=f"{to}@1.0.0"), tmp_path / "kept")
    by_text = [{row["problem"]: shard.name.partition("-")[0]
                for shard in (tmp_path / run / "release" / "problems").glob("*.parquet")
                for row in read_rows(shard, ["problem"])} for run in ("first", "kept")]
    assert by_text[0] == by_text[1] and "test" in by_text[0].values()
    assert not splits(tmp_path / "first").keys() & splits(tmp_path / "kept").keys()


def test_a_version_of_other_problems_is_an_error(tmp_path: Path) -> None:
    to = f"local:{tmp_path / 'out'}"
    execute(make(tmp_path, 0, 4, to=to), tmp_path / "first")
    with pytest.raises(StageFailed, match="none of the 4 problems of local:.*@1.0.0 is in this run"):
        execute(make(tmp_path, 10, 14, keep_splits=f"{to}@1.0.0"), tmp_path / "second")


@pytest.mark.parametrize("address", ["local:out", "hub:org/name@latest", "org/name@1.0.0"])
def test_an_address_without_a_version_is_refused_as_the_recipe_is_read(tmp_path: Path, address: str) -> None:
    with pytest.raises(RecipeError, match="release.keep_splits"):
        make_recipe(make(tmp_path, 0, 4, keep_splits=address))
