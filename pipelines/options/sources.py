"""Where problems come from: one model of options for each source."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stepforge.builders.errors import SourceError
from stepforge.builders.sources import arithmetic, star_graph, terse_teacher
from stepforge.pipelines.options.base import Options, misfits

Split = Literal["train", "validation", "test"]


def check_dials(generate: Callable[..., Iterator[dict[str, Any]]], seed: int, split: str, *dials: object) -> None:
    """Raises ValueError for dials that the source itself refuses; it is asked for one problem."""
    with misfits():
        next(generate(1, seed, split, *dials))


class ArithmeticSource(Options):
    source: Literal["arithmetic"] = Field(description="Kind of the source.")
    limit: int = Field(200, ge=1, description="How many problems.")
    split: Split = Field("train", description="Which of the disjoint sets of wordings.")
    seed: int = Field(0, description="Seed of the generator.")
    steps: tuple[int, int] = Field((3, 6), description="Fewest and most steps of a problem.")
    max_operand: int = Field(50, ge=5, le=10_000, description="Largest number that a problem starts from.")

    @model_validator(mode="after")
    def _dials_fit(self) -> Self:
        check_dials(arithmetic.generate, self.seed, self.split, self.steps, self.max_operand)
        return self


class StarGraphSource(Options):
    source: Literal["star_graph"] = Field(description="Kind of the source.")
    limit: int = Field(200, ge=1, description="How many problems.")
    split: Split = Field("train", description="Which of the disjoint sets of graphs.")
    seed: int = Field(0, description="Seed of the generator.")
    degree: int = Field(2, ge=2, le=20, description="Arms of the star.")
    path_length: int = Field(5, ge=2, le=50, description="Nodes on an arm, the centre counted.")
    nodes: int = Field(50, ge=5, le=1000, description="Names that nodes are drawn from.")

    @model_validator(mode="after")
    def _dials_fit(self) -> Self:
        check_dials(star_graph.generate, self.seed, self.split, self.degree, self.path_length, self.nodes)
        return self


class TerseTeacherSource(Options):
    source: Literal["terse_teacher"] = Field(description="Kind of the source.")
    limit: int = Field(200, ge=1, description="How many problems.")
    split: Split = Field("train", description="Which of the disjoint sets of problems.")
    seed: int = Field(0, description="Seed of the generator.")
    operations: int = Field(3, ge=1, le=20, description="Operations of a problem, worked from left to right.")
    modulus: int = Field(11, ge=2, le=1000, description="Numbers are counted modulo this.")
    double: float = Field(0.6, ge=0, le=1, description="How often a reference solution does two operations in a line.")

    @model_validator(mode="after")
    def _dials_fit(self) -> Self:
        check_dials(terse_teacher.generate, self.seed, self.split, self.operations, self.modulus, self.double)
        return self


class Rows(Options):
    """Rows of somebody's data set, and where in a row each of our columns is: the mapping language of
    builders/sources/mapping.py."""

    paths: list[str] = Field(
        default=[], description="JSON, JSONL, CSV, TSV, Parquet or Arrow files, text packed or not: paths, folders, "
        "globs, or URLs such as s3://BUCKET/x.jsonl.gz and hf://datasets/ID@REVISION/problems/*.parquet."
    )
    hub: str | None = Field(None, description="Or the id of a data set on the Hub.")
    config: str | None = Field(None, description="Its config, where it has several.")
    revision: str | None = Field(None, description="Its branch, tag or commit; name one for a repeatable run.")
    hub_split: str = Field("train", description="Its split that is read.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.paths) == bool(self.hub):
            raise ValueError("give either `paths` or `hub`")
        return self


COLUMNS = (
    "our column -> where it is: a column, a path such as reward_model.ground_truth, messages[-1].content or "
    "steps[].text (JSON inside text is decoded on the way), a template such as '{Body} {Question}', each followed by "
    "' ~ REGEX' to take what a pattern finds."
)
PROBLEM_COLUMNS = ("problem", "answer", "reference_solution", "source_id", "subject", "level", "group_id", "license")


def check_columns(columns: Mapping[str, str], known: Iterable[str]) -> None:
    """Raises ValueError for a column that is not ours, and for a path, template or pattern that cannot be read."""
    from stepforge.builders.sources.mapping import Column  # polars behind it is slow to import

    if unknown := sorted(set(columns) - set(known)):
        raise ValueError(f"columns: {unknown} is not among {sorted(known)}")
    for name, text in columns.items():
        try:
            Column(text)
        except SourceError as error:
            raise ValueError(f"columns.{name}: {error}") from None


class FilesSource(Rows):
    source: Literal["files", "hub"] = Field(description="Kind of the source.")
    columns: dict[str, str] = Field(
        default={"problem": "problem", "answer": "answer"},
        description=f"Mapping, {COLUMNS} Ours are {', '.join(PROBLEM_COLUMNS)}.",
    )
    answer_from: Literal["solution"] | None = Field(
        None, description="Take the gold answer out of the mapped reference_solution, where that states one."
    )
    answer: Literal["gold", "majority"] = Field(
        "gold", description="majority: problems without gold take the answer that an agreed share of their samples "
        "gives, which `agreement` marks; by default they are dropped."
    )
    split: Split = Field("train", description="Split that the problems belong to.")
    license: str = Field("unknown", description="License of the problems.")
    limit: int | None = Field(None, ge=1, description="At most this many problems, in file order.")

    @model_validator(mode="after")
    def _columns_are_known(self) -> Self:
        check_columns(self.columns, PROBLEM_COLUMNS)
        gold = ("answer",) if self.answer_from is None and self.answer == "gold" else ()
        if missing := sorted({"problem", *gold} - set(self.columns)):
            raise ValueError(f"columns: a mapping for {missing} is needed")
        if self.answer_from and ("reference_solution" not in self.columns or "answer" in self.columns):
            raise ValueError("answer_from: `solution` needs a mapping for reference_solution, and none for answer")
        return self


class PublicSource(Options):
    source: Literal["gsm8k", "math"] = Field(description="Kind of the source.")
    path: str | None = Field(None, description="Files in the set's public format, named as those of `files` are.")
    hub: str | None = Field(None, description="Dataset id on the Hub; the default is the set's usual home.")
    revision: str | None = Field(None, description="Revision on the Hub; name one for a repeatable run.")
    split: Split = Field("train", description="Split to load.")
    limit: int | None = Field(None, ge=1, description="At most this many problems, in file order.")

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        from stepforge.builders.sources import public  # polars behind it is slow to import

        if self.path and self.hub:
            raise ValueError("give either `path` or `hub`")
        splits = [split for name, split in public.HOMES if name == self.source]
        if not self.path and not self.hub and self.split not in splits:
            raise ValueError(f"split: {self.source} has {', '.join(splits)} on the Hub, got {self.split!r}; take one "
                             "of them, or give `path` or another `hub`")
        return self


Source = Annotated[ArithmeticSource | StarGraphSource | TerseTeacherSource | FilesSource | PublicSource,
                   Field(discriminator="source")]
