"""Croissant as the Hub makes it from a dataset's features: our layout has only what that can say.

The Hub gives a field to each column whose feature it can map: values of the types below, structs and lists of them. It
writes ids from the names of configs and columns, of which all but letters, digits, `-`, `_` and `.` are replaced.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Features, LargeList, List, Value

from stepforge.builders.configs import CONFIGS
from stepforge.cards.dataset_card import write_card

MAPPED = {"bool", "string", "large_string", "float32", "float64", "int8", "int16", "int32", "int64"}
MOST_COLUMNS = 1000
NAME = re.compile(r"[A-Za-z0-9_.-]+")


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
