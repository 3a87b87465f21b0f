"""Rows of a data set on the Hub, read as a stream: nothing is downloaded that is not read."""

from collections.abc import Collection, Iterator

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.records import Record


def read_hub(dataset: str, config: str | None, split: str, revision: str | None,
             columns: Collection[str] | None = None) -> Iterator[Record]:
    """The rows of one split, those `columns` alone where they are named and known.

    Raises:
        SourceError: the data set, its config, split or revision is not there, or it cannot be read.
    """
    from datasets import Value, load_dataset

    try:
        rows = load_dataset(dataset, config, split=split, revision=revision, streaming=True)
        if columns is not None and rows.column_names and set(columns) <= set(rows.column_names):
            rows = rows.select_columns(sorted(columns))
        for name, kind in (rows.features or {}).items():
            if kind in (Value("float16"), Value("float32")):
                rows = rows.cast_column(name, Value("string"))  # its digits: 0.1, not 0.10000000149011612
        for number, values in enumerate(rows):
            yield Record(f"{dataset}:{split}:{number}", values)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot load {dataset!r} (config {config or 'default'!r}, split {split!r}) from the Hub: "
                          f"{error}") from error
