"""The mapping language: where in a row of a file each column of the tool is found.

In: a row as nested values, and for each of our columns one of
    `problem`                                a column; a name that a row has is taken as it is, dots and all
    `reward_model.ground_truth`              a key of an object, and so on; text that holds JSON, or a list or an
                                             object as Python prints it, is decoded on the way
    `messages[-1].content`, `a["b.c"]`       an element of a list, from the end where negative; an odd key in quotes
    `steps[].text`, `steps[*].text`          every element of a list
    `completions[chosen]`                    the element whose number is under that key, next to the list
    `{Body}\\n{Question}`                     a template of such paths; \\n is a line break. In a problem, a null
                                             beside a text is empty
    `custom_id ~ ^(p\\d+)-`                   what a regular expression finds: its first group, or the whole match
Out: a polars frame with the texts behind every column, one list a row, and what does not fit. Numbers keep the digits
they were written with, nothing is guessed: a list where one value is meant, or an object where text is meant, is an
error of that row, in words.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.literals import decoded, listed
from stepforge.builders.sources.misfits import (
    WRITTEN,
    Misfit,
    kind_of,
    require_one_turn,
    require_pieces,
    require_words,
    require_writer,
    text_of_parts,
    typed_parts,
    with_backslashes,
    word_of_end,
)
from stepforge.builders.sources.records import NOT_UTF8, Record

EVERY = ...  # the step `[]`
STEP = re.compile(r"""\.?(?P<key>[^.\[\]{}"\s~][^.\[\]{}"~]*?)(?=[.\[]|$)|\[(?P<number>-?\d+)\]|\[(?P<every>\*?)\]
                      |\["(?P<quoted>[^"]+)"\]|\[(?P<beside>[^\[\]"]+)\]""", re.VERBOSE)
PART = re.compile(r"\{([^{}]+)\}")


class Beside(NamedTuple):
    """The step `[name]`: the index stands under `name`, beside the list."""

    name: str


@dataclass(frozen=True)
class Path:
    """One path; raises SourceError where it cannot be read."""

    text: str

    def __post_init__(self) -> None:
        if not self.steps:
            raise SourceError(f"mapping: the path {self.text!r} is empty")

    @cached_property
    def steps(self) -> tuple[Any, ...]:
        steps: list[Any] = []
        at = 0
        while at < len(self.text):
            match = STEP.match(self.text, at)
            dotted = self.text[at] == "."
            if not match or (match["key"] and dotted != (at > 0)) or (not at and self.text[0] == "["):
                raise SourceError(f"mapping: the path {self.text!r} cannot be parsed at {self.text[at:]!r}; "
                                  'allowed are key.key, [0], [-1], [] for every element, ["odd.key"], [key_beside]')
            number, every = match["number"], match["every"]
            steps.append(int(number) if number else EVERY if every is not None
                         else Beside(match["beside"]) if match["beside"] else match["key"] or match["quoted"])
            at = match.end()
        return tuple(steps)

    @property
    def root(self) -> str:
        return str(self.steps[0])

    def value(self, row: Mapping[str, Any]) -> Any:
        """What stands there, null where something on the way is absent. Raises Misfit."""
        if self.text in row:
            return row[self.text]
        return self._walk(row, 0, row)

    @cached_property
    def _holder(self) -> "tuple[Path, str] | None":
        """The path to the object of which this path takes a key, and that key; null for any other path."""
        head, _, key = self.text.rpartition(".")
        return (Path(head), key) if head and key == self.steps[-1] else None

    def holder(self, row: Mapping[str, Any]) -> Any:
        """The object, or the list of them, of which the path takes a key; null where it takes none."""
        return None if self._holder is None or self.text in row else self._holder[0].value(row)

    def before(self, row: Mapping[str, Any]) -> list[Sequence[Any]]:
        """For each list in which the path takes one element by its number: the elements before that one."""
        lists: list[Sequence[Any]] = []
        if self.text not in row:
            self._walk(row, 0, row, lists)
        return lists

    @property
    def list_key(self) -> str | None:
        """The key of the list whose elements' key the path takes, `children` of `tree.children[].text`."""
        key, *at = self.steps[-3:-1] or [None]
        return key if isinstance(key, str) and at and not isinstance(at[0], str) else None

    def _walk(self, value: Any, at: int, holder: Mapping[str, Any], before: list[Sequence[Any]] | None = None) -> Any:
        if at == len(self.steps) or value is None:
            return value
        step = self.steps[at]
        if isinstance(value, str):
            value = self._decoded(value)
        if step is EVERY or isinstance(step, int | Beside):
            if not isinstance(value, list | tuple):
                raise Misfit(f"{self.text!r} expects a list at step {at + 1}, but there is {kind_of(value)}")
            if step is EVERY:
                return [self._walk(item, at + 1, holder, before) for item in value]
            index = holder.get(step.name) if isinstance(step, Beside) else step
            try:
                number = int(float(index))  # type: ignore[arg-type]
                element = value[number]
            except (IndexError, TypeError, ValueError):
                return None
            if before is not None:
                before.append(value[:number])
            return self._walk(element, at + 1, holder, before)
        if isinstance(value, list | tuple):
            raise Misfit(f"{self.text!r} asks for {step!r} of a list; write [].{step} for every element of it, or "
                         f"[0].{step} for the first one")
        if not isinstance(value, dict):
            raise Misfit(f"{self.text!r} asks for {step!r} of {kind_of(value)}")
        return self._walk(value.get(step), at + 1, value, before)

    def _decoded(self, text: str) -> Any:
        if not text.strip():
            return None
        try:
            return decoded(text)
        except ValueError:
            raise Misfit(f"{self.text!r} goes on behind a text that is no JSON, nor a list or an object as Python "
                         "prints it; write the file as Parquet, or the column as JSON, with json.dumps") from None


@dataclass(frozen=True)
class Column:
    """A column of a mapping as the recipe states it; raises SourceError where it cannot be read."""

    text: str

    def __post_init__(self) -> None:
        if len(self.paths) == 0:
            raise SourceError(f"mapping: {self.text!r} names no column")
        if self.pattern is not None:
            try:
                pl.Series([""]).str.extract(self.pattern, self._group)
                re.compile(self.pattern)
            except (pl.exceptions.ComputeError, re.error) as error:
                raise SourceError(f"mapping: {self.pattern!r} is not a regular expression: {error}") from None

    @cached_property
    def _halves(self) -> tuple[str, str | None]:
        head, mark, pattern = self.text.partition(" ~ ")
        return head.strip() if mark else head, pattern if mark else None

    @property
    def pattern(self) -> str | None:
        return self._halves[1]

    @property
    def is_template(self) -> bool:
        return "{" in self._halves[0]

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        head = self._halves[0]
        return tuple(Path(part) for part in (PART.findall(head) if self.is_template else [head]))

    @property
    def _group(self) -> int:
        return int(re.compile(self.pattern or "").groups > 0)

    def why_empty(self, row: Mapping[str, Any]) -> str:
        """Why the column finds no text in a row: what is null there, or its pattern; nothing where neither is it."""
        nulls = [repr(path.text) for path in self.paths if path.value(row) is None]
        if nulls:
            return f": {' and '.join(nulls)} {'is' if len(nulls) == 1 else 'are'} null"
        return f": the pattern finds nothing in {self._halves[0]!r}" if self.pattern is not None else ""

    def expression(self, fill: bool = False) -> pl.Expr:
        """The column's texts, a list a row, from a frame that holds the texts of every path under the path's name.

        `fill`: a null in a template is an empty text where another part has a text; else the row has none.
        """
        if self.is_template:
            parts = [pl.col(path.text).list.get(0, null_on_oob=True) for path in self.paths]
            if fill:
                known = pl.any_horizontal(part.str.contains(r"\S") for part in parts)
                parts = [pl.when(known).then(part.fill_null("")).otherwise(part) for part in parts]
            literal = PART.sub("{}", self._halves[0]).replace("\\n", "\n")
            texts = pl.concat_list(pl.format(literal, *parts)).list.drop_nulls()
        else:
            texts = pl.col(self.paths[0].text)
        if self.pattern is not None:
            texts = texts.list.eval(pl.element().str.extract(self.pattern, self._group))
        return texts


class Mapped(NamedTuple):
    """The rows of a batch under a mapping.

    frame: for each of our columns the texts of each row, as a list; empty where there is nothing.
    misfits: number of a row in the batch -> what is wrong with it.
    """

    frame: pl.DataFrame
    misfits: dict[int, Misfit]


def map_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Column], lists: Collection[str] = (),
             single: Collection[str] = (), pieces: Collection[str] = ()) -> Mapped:
    """The texts behind every column of a mapping in a batch of rows.

    Args:
        lists: those of our columns that take lists, so that a text which holds a list is that list (literals.py).
        single: those of our columns for which a list is refused, even one of a single text.
        pieces: those of our columns whose list is one text in pieces, so that a piece of several texts is a misfit.
    """
    misfits: dict[int, Misfit] = {}
    series: dict[str, pl.Series] = {}
    owner = {path.text: (path, name) for name, column in columns.items() for path in column.paths}
    for path, name in owner.values():
        texts: list[list[str | None] | None] = []
        for number, row in enumerate(rows):
            try:
                value = path.value(row)
                if isinstance(value, str) and not columns[name].is_template and (
                        name in lists or columns[name].pattern is None):
                    value = listed(value, name, path.text, name in lists or name in single)
                value = word_of_end(value) if name == "finish_reason" else text_of_parts(typed_parts(value, path.text))
                require_words(value, name, path.text)
                if isinstance(value, list | tuple) and name in single:
                    raise Misfit(f"{name}: {columns[name].text!r} is a list. State what the list holds: `solutions: "
                                 f"{path.text}` where each element is a sample, `steps: {path.text}` where they are "
                                 f"the pieces of one, or take one, as in {path.text}[0]")
                if isinstance(value, list | tuple) and len(value) > 1 and columns[name].is_template:
                    raise Misfit(f"{path.text!r} is a list; a template takes one value of each part")
                if name in pieces:
                    require_pieces(value, path.text)
                if not columns[name].is_template and (holder := path.holder(row)) is not None:
                    require_writer(holder, name, path.text, path.list_key)
                if not columns[name].is_template and name in WRITTEN:
                    require_one_turn(path.before(row), path.text)
                texts.append(texts_of(value, path.text))
            except Misfit as misfit:
                misfits.setdefault(number, misfit)
                texts.append(None)
        series[path.text] = pl.Series(texts, dtype=pl.List(pl.String))
    frame = pl.DataFrame(series).select(**{name: column.expression(fill=name == "problem")
                                           for name, column in columns.items()})
    return Mapped(frame, misfits)


def roots(columns: Mapping[str, Column]) -> set[str]:
    """Names of a row's own columns that a mapping may read."""
    return {name for column in columns.values() for path in column.paths for name in (
        path.root, path.text, *(step.name for step in path.steps if isinstance(step, Beside)))}


def require_roots(records: Iterable[Record], columns: Mapping[str, Column]) -> None:
    """Refuse a source none of whose first rows has a column that its mapping names."""
    seen = list(records)
    names = {name for record in seen for name in record.values}
    missing = sorted({path.root for column in columns.values() for path in column.paths
                      if not names & {path.root, path.text}})
    if seen and missing:
        held = next((f" The objects of the list {name!r} have them: write these as rows, as `jq -c '.{name}[]'` does."
                     for name, value in seen[0].values.items() if isinstance(value, list) and value
                     and isinstance(value[0], dict) and set(missing) <= set(value[0])), "")
        raise SourceError(f"{seen[0].where}: no column {missing}; the rows have {sorted(names)}. Map the columns in "
                          f"the recipe.{held}")


def texts_of(value: Any, path: str) -> list[str | None]:
    """The texts of a value, however deep its lists are; none for null. Raises Misfit for objects and bytes."""
    value = text_of_parts(value)
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [text for item in value for text in (texts_of(item, f"{path}[]") or [None])]
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            bytes_of_csv = "\udc80" <= value[error.start] <= "\udcff"
            raise Misfit(f"{path!r} {NOT_UTF8}" if bytes_of_csv else
                         f"{path!r} holds half a character (a lone surrogate)") from None
        return [with_backslashes(value)]
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, float) and value != value:
        return []
    if isinstance(value, dict):
        raise Misfit(f"{path!r} is an object with {sorted(map(str, value))[:8]}; name one of its keys, as in "
                     f"{path}.{next(iter(value), 'key')}")
    if isinstance(value, bytes):
        raise Misfit(f"{path!r} holds bytes, no text")
    return [value.isoformat() if hasattr(value, "isoformat") else str(value)]


def normal(text: str) -> str:
    """Text as it is compared: Unicode composed, white space and line ends folded."""
    return " ".join(unicodedata.normalize("NFC", text).split())
