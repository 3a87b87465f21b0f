"""What the header of a card says of a config's columns and sizes, in the form that `datasets` and the viewer read.

In: an Arrow schema, sizes of splits. Out: YAML's lists and mappings, equal to those that `datasets` writes. Importing
`datasets` takes two seconds, so it is imported only for a column type that none of our configs has.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pyarrow as pa
from huggingface_hub import CardData, DatasetCardData

_NAMES = {str(kind): name for kind, name in (
    (pa.bool_(), "bool"), (pa.int32(), "int32"), (pa.int64(), "int64"), (pa.float32(), "float32"),
    (pa.float64(), "float64"), (pa.string(), "string"))}


class Split(NamedTuple):
    """A split of a config, with its bytes in memory and its rows."""

    name: str
    num_bytes: int
    num_examples: int


def info(config: str, schema: pa.Schema, splits: list[Split], download_size: int) -> dict[str, Any]:
    """An entry of `dataset_info`."""
    return {"config_name": config, "features": features(schema), "splits": [split._asdict() for split in splits],
            "download_size": download_size, "dataset_size": sum(split.num_bytes for split in splits)}


def features(schema: pa.Schema) -> list[dict[str, Any]]:
    """The columns, each as {name, dtype}, {name, list} or {name, struct}."""
    try:
        return _columns(schema)
    except KeyError:
        from datasets import DatasetInfo, Features
        from datasets.info import DatasetInfosDict

        data = DatasetCardData()
        DatasetInfosDict(it=DatasetInfo(features=Features.from_arrow_schema(schema))).to_dataset_card_data(data)
        described: list[dict[str, Any]] = data["dataset_info"]["features"]
        return described


def described_configs(data: CardData) -> set[str]:
    """Names of the configs in `dataset_info` of a card, as `datasets` reads them.

    Raises:
        ValueError, TypeError, KeyError: `datasets` cannot read them.
    """
    from datasets.info import DatasetInfosDict

    return {str(name) for name in DatasetInfosDict.from_dataset_card_data(data)}


def _columns(fields: Iterable[pa.Field]) -> list[dict[str, Any]]:
    return [{"name": field.name, **_kind(field.type)} for field in fields]


def _kind(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {"struct": _columns(kind)}
    if pa.types.is_list(kind):
        of = _kind(kind.value_type)
        return {"list": of.get("dtype") or of.get("struct") or of}
    return {"dtype": _NAMES[str(kind)]}
