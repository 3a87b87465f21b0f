"""Croissant as the Hub makes it from a dataset's features: our layout has only what that can say.

The Hub gives a field to each column whose feature it can map: values of the types below, structs and lists of them. It
writes ids from the names of configs and columns, of which all but letters, digits, `-`, `_` and `.` are replaced.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from datasets import Features, LargeList, List, Value
from helpers.croissant import describe

from stepforge.builders.configs import CONFIGS
from stepforge.cards.dataset_card import write_card

MAPPED = {"bool", "string", "large_string", "float32", "float64", "int8", "int16", "int32", "int64"}
MOST_COLUMNS = 1000
NAME = re.compile(r"[A-Za-z0-9_.-]+")
READER = os.environ.get("STEPFORGE_CROISSANT_PYTHON")
READ = """
import json, sys
import mlcroissant
def plain(value):
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(inner) for name, inner in value.items()}
    return value.decode() if isinstance(value, bytes) else value.tolist() if hasattr(value, "tolist") else value
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
json.dump({part.id: [plain(row) for row in dataset.records(part.id)] for part in dataset.metadata.record_sets},
          sys.stdout, default=plain)
"""


def leaves(feature: Any) -> Iterator[Any]:
    if isinstance(feature, dict):
        for name, inner in feature.items():
            assert NAME.fullmatch(name), name
            yield from leaves(inner)
    elif isinstance(feature, List | LargeList):
        yield from leaves(feature.feature)
    else:
        yield feature


@pytest.mark.parametrize("name", CONFIGS)
def test_every_column_of_a_config_has_a_field(name: str) -> None:
    features = Features.from_arrow_schema(CONFIGS[name].schema)
    assert NAME.fullmatch(name) and 0 < len(features) <= MOST_COLUMNS
    for column, feature in features.items():
        assert NAME.fullmatch(column)
        for leaf in leaves(feature):
            assert isinstance(leaf, Value) and leaf.dtype in MAPPED, f"{name}.{column}: {leaf}"


def test_the_header_describes_every_config_that_it_names(make_release: Callable[..., Path]) -> None:
    """The Hub takes configs, splits and features from the header; record sets are named by configs, each once."""
    header = yaml.safe_load(write_card(make_release()).read_text().split("---\n")[1])
    names = [config["config_name"] for config in header["configs"]]
    infos = {info["config_name"]: info for info in header["dataset_info"]}
    assert len(set(names)) == len(names) and set(infos) == set(names)
    for config in header["configs"]:
        splits = [file["split"] for file in config["data_files"]]
        assert splits == [split["name"] for split in infos[config["config_name"]]["splits"]]
        for file in config["data_files"]:
            assert file["path"] == f"{config['config_name']}/{file['split']}-*.parquet"


@pytest.mark.skipif(READER is None, reason="STEPFORGE_CROISSANT_PYTHON names no Python with mlcroissant and pyarrow")
def test_the_reference_reader_of_croissant_gives_every_row_of_a_release(make_release: Callable[..., Path]) -> None:
    """mlcroissant validates the description, finds the files of every config, and reads their rows and splits."""
    folder = make_release(problems=range(12))
    header = yaml.safe_load(write_card(folder).read_text().split("---\n")[1])
    (folder / "croissant.json").write_text(json.dumps(describe(header)))
    done = subprocess.run([str(READER), "-c", READ, str(folder / "croissant.json")], text=True, capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    read = json.loads(done.stdout)
    assert {name.removesuffix("_splits") for name in read} == {info["config_name"] for info in header["dataset_info"]}
    for config in (info["config_name"] for info in header["dataset_info"]):
        parts = {split["split_name"]: pl.read_parquet(folder / config / f"{split['split_name']}-*.parquet")
                 for split in read[f"{config}_splits"]}
        expected = [row | {"split": split} for split, rows in parts.items() for row in rows.to_dicts()]
        assert sorted(map(_text, read[config])) == sorted(map(_text, expected)), config


def _text(row: dict[str, Any]) -> str:
    """A row as text; an absent number is a NaN for pandas, which the reader uses."""
    return json.dumps({name: None if value != value else value for name, value in row.items()}, sort_keys=True)
