"""Where problems come from: one model of options for each source."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stepforge.builders.errors import SourceError
from stepforge.builders.sources import arithmetic, star_graph, terse_teacher
from stepforge.pipelines.options.base import Options, misfits
from stepforge.pipelines.options.places import PlaceNameOrNone, PlaceNames

Split = Literal["train", "validation", "test"]


def check_dials(generate: Callable[..., Iterator[dict[str, Any]]], seed: int, split: str, *dials: object) -> None:
    """Raises ValueError for dials that the source itself refuses; it is asked for one problem."""
    with misfits():
        next(generate(1, seed, split, *dials))


class ArithmeticSource(Options):
    source: Literal["arithmetic"] = Field(description="Kind of the source.")
    limit: int = Field(200, ge=1, description="Number of problems.")
    split: Split = Field("train", description="Split; the splits use different wordings.")
    seed: int = Field(0, description="Seed of the problem generator.")
    steps: tuple[int, int] = Field((3, 6), description="Smallest and largest number of steps per problem.")
    max_operand: int = Field(50, ge=5, le=10_000, description="Largest number from which a problem starts.")

    @model_validator(mode="after")
    def _dials_fit(self) -> Self:
        check_dials(arithmetic.generate, self.seed, self.split, self.steps, self.max_operand)
        return self


class StarGraphSource(Options):
    source: Literal["star_graph"] = Field(description="Kind of the source.")
    limit: int = Field(200, ge=1, description="Number of problems.")
    split: Split = Field("train", description="Split; the splits contain different graphs.")
    seed: int = Field(0, description="Seed of the problem generator.")
    degree: int = Field(2, ge=2, le=20, description="Number of arms of the star.")
    path_length: int = Field(5, ge=2, le=50, description="Nodes per arm, including the centre.")
    nodes: int = Field(50, ge=5, le=1000, description="Number of node names to draw from.")

    @model_validator(mode="after")
    def _dials_fit(self) -> Self:
        check_dials(star_graph.generate, self.seed, self.split, self.degree, self.path_length, self.nodes)
        return self


class TerseTeacherSource(Options):
    source: Literal["terse_teacher"] = Field(description="Kind of the source.")
    limit: int = Field(200, ge=1, description="Number of problems.")
    split: Split = Field("train", description="Split; the splits contain different problems.")
    seed: int = Field(0, description="Seed of the problem generator.")
    operations: int = Field(3, ge=1, le=20, description="Operations per problem, computed from left to right.")
    modulus: int = Field(11, ge=2, le=1000, description="Modulus of all arithmetic.")
    double: float = Field(0.6, ge=0, le=1, description="Probability that a line of a reference solution contains two "
                                                       "operations.")

    @model_validator(mode="after")
    def _dials_fit(self) -> Self:
        check_dials(terse_teacher.generate, self.seed, self.split, self.operations, self.modulus, self.double)
        return self


class Rows(Options):
    """Rows of somebody's data set, and where in a row each of our columns is: the mapping language of
    builders/sources/mapping.py."""

    paths: PlaceNames = Field(
        default=[], description="JSON, JSONL, CSV, TSV, Parquet or Arrow files, text also compressed: paths, folders, "
                                "globs, or URLs such as s3://BUCKET/x.jsonl.gz and "
                                "hf://datasets/ID@REVISION/problems/*.parquet. A file named twice is read once."
    )
    hub: str | None = Field(None, description="Id of a dataset on the Hub, instead of `paths`.")
    config: str | None = Field(None, description="Config of the dataset on the Hub, if it has several.")
    revision: str | None = Field(None, description="Branch, tag or commit of the dataset on the Hub; set it to make "
                                                   "the run repeatable.")
    hub_split: str = Field("train", description="Split of the dataset on the Hub to read.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.paths) == bool(self.hub):
            raise ValueError("give either `paths` or `hub`")
        return self


COLUMNS = (
    "Mapping from our columns to paths in a row. A path names a column or reaches into one: "
    "reward_model.ground_truth, messages[-1].content, steps[].text; JSON inside text is decoded, and so are lists and "
    "objects as pandas writes them to CSV. A template such as '{Body} {Question}' joins several paths. ' ~ REGEX' "
    "behind a path or a template takes what the pattern matches. "
    "Our columns are"
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
        description=f"{COLUMNS} {', '.join(PROBLEM_COLUMNS)}.",
    )
    answer_from: Literal["solution"] | None = Field(
        None, description="Extract the gold answer from the mapped reference_solution, if it states one."
    )
    answer: Literal["gold", "majority"] = Field(
        "gold", description="`gold` drops problems without a gold answer. `majority` takes the answer on which enough "
                            "samples agree, and records their share in `agreement`; a sample that its file calls "
                            "wrong has no vote."
    )
    split: Split = Field("train", description="Split to which the problems belong.")
    license: str = Field("unknown", description="License of the problems.")
    limit: int | None = Field(None, ge=1, description="Largest number of problems, in file order.")

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
    path: PlaceNameOrNone = Field(None, description="Files in the public format of the dataset: a path, folder, glob "
                                               "or URL, as for `files`.")
    hub: str | None = Field(None, description="Dataset id on the Hub; by default the usual one.")
    revision: str | None = Field(None, description="Revision on the Hub; set it to make the run repeatable.")
    split: Split = Field("train", description="Split to load.")
    limit: int | None = Field(None, ge=1, description="Largest number of problems, in file order.")

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
