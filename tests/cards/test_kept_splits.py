"""The splits that an earlier version gave its problems."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stepforge.builders.errors import UserError
from stepforge.builders.manifest import SPLITS
from stepforge.builders.parquet import read_rows
from stepforge.cards.address import PublishError
from stepforge.cards.kept_splits import write_kept_splits
from stepforge.cards.publish import publish


@pytest.mark.parametrize("configs", [["problems", "positives"], ["positives", "pairs"]])
def test_every_problem_of_a_version_has_its_split(make_release: Callable[..., Path], tmp_path: Path, configs: list[str]
                                                  ) -> None:
    release = make_release(only=configs)
    publish(release, f"local:{tmp_path / 'there'}", "1.0.0")
    publish(make_release("more", range(60), only=configs), f"local:{tmp_path / 'there'}", "1.1.0")
    splits = {}
    for name in configs:
        for shard in (release / name).glob("*.parquet"):
            splits |= {row["problem_id"]: shard.name.partition("-")[0] for row in read_rows(shard, ["problem_id"])}
    path = tmp_path / "kept.parquet"
    assert write_kept_splits(f"local:{tmp_path / 'there'}@1.0.0", path) == len(splits) == 40
    assert {row["problem_id"]: row["split"] for row in read_rows(path)} == splits and len(set(splits.values())) > 1


def test_of_two_splits_the_stricter_one_counts(make_release: Callable[..., Path], tmp_path: Path) -> None:
    def leak(rows: dict) -> None:
        first = rows["positives"][0]
        rows["positives"] = [first | {"split": split, "solution_id": split} for split in SPLITS[::-1]]

    publish(make_release(only=["positives"], change=leak), f"local:{tmp_path / 'there'}", "1.0.0")
    write_kept_splits(f"local:{tmp_path / 'there'}@1.0.0", tmp_path / "kept.parquet")
    assert [row["split"] for row in read_rows(tmp_path / "kept.parquet")] == ["test"]


@pytest.mark.parametrize(("address", "says"), [
    ("local:{}", "names no version"), ("local:{}@latest", "names no version"), ("nowhere:{}@1.0.0", "is not a target"),
    ("local:{}@2.0.0", "has no version 2.0.0; it has 1.0.0")])
def test_an_address_without_such_a_version_is_refused(make_small: Callable[..., Path], tmp_path: Path, address: str,
                                                      says: str) -> None:
    publish(make_small(), f"local:{tmp_path / 'there'}", "1.0.0")
    with pytest.raises(PublishError, match=says):
        write_kept_splits(address.format(tmp_path / "there"), tmp_path / "kept.parquet")


def test_a_release_without_problems_has_no_splits_to_keep(make_small: Callable[..., Path], tmp_path: Path) -> None:
    publish(make_small(), f"local:{tmp_path / 'there'}", "1.0.0")
    manifest = tmp_path / "there" / "v1.0.0" / "stepforge.json"
    manifest.write_text(manifest.read_text().replace('"problem_id"', '"question_id"'))
    with pytest.raises(UserError, match="names no problems in any config"):
        write_kept_splits(f"local:{tmp_path / 'there'}@1.0.0", tmp_path / "kept.parquet")
