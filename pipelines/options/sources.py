"""Where problems come from: one model of options for each source."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stepforge.pipelines.options.base import Options


class ArithmeticSource(Options):
    source: Literal["arithmetic"]
    limit: int = Field(200, ge=1, description="How many problems.")
    split: Literal["train", "test"] = Field("train", description="Which of the two disjoint sets of wordings.")
    seed: int = Field(0, description="Seed of the generator.")
    steps: tuple[int, int] = Field((3, 6), description="Fewest and most steps of a problem.")
    max_operand: int = Field(50, ge=5, le=10_000, description="Largest number that a problem starts from.")

    @model_validator(mode="after")
    def _steps_in_order(self) -> "ArithmeticSource":
        if not 1 <= self.steps[0] <= self.steps[1] <= 10:
            raise ValueError(f"steps must be two numbers from 1 to 10 in rising order, got {list(self.steps)}")
        return self


class StarGraphSource(Options):
    source: Literal["star_graph"]
    limit: int = Field(200, ge=1, description="How many problems.")
    split: Literal["train", "test"] = Field("train", description="Which of the two disjoint sets of graphs.")
    seed: int = Field(0, description="Seed of the generator.")
    degree: int = Field(2, ge=2, le=20, description="Arms of the star.")
    path_length: int = Field(5, ge=2, le=50, description="Nodes on an arm, the centre counted.")
    nodes: int = Field(50, ge=5, le=1000, description="Names that nodes are drawn from.")


class FilesSource(Options):
    source: Literal["files"]
    paths: list[str] = Field(min_length=1, description="JSONL, CSV or Parquet files: paths, globs, or URLs such as s3://.")
    columns: dict[str, str] = Field(
        default={"problem": "problem", "answer": "answer"},
        description="Our column -> the file's column; `problem` and `answer` are needed.",
    )
    split: Literal["train", "test"] = Field("train", description="Split that the problems belong to.")
    license: str = Field("unknown", description="License of the problems.")
    limit: int | None = Field(None, ge=1, description="At most this many problems, in file order.")

    @model_validator(mode="after")
    def _columns_are_known(self) -> "FilesSource":
        known = {"problem", "answer", "reference_solution", "source_id", "subject", "level", "group_id", "license"}
        if unknown := set(self.columns) - known:
            raise ValueError(f"columns: {sorted(unknown)} is not among {sorted(known)}")
        if missing := {"problem", "answer"} - set(self.columns):
            raise ValueError(f"columns: a mapping for {sorted(missing)} is needed")
        return self


class PublicSource(Options):
    source: Literal["gsm8k", "math"]
    path: str | None = Field(None, description="Local JSONL or Parquet file in the set's public format.")
    hub: str | None = Field(None, description="Dataset id on the Hub; the default is the set's usual home.")
    revision: str | None = Field(None, description="Revision on the Hub; name one for a repeatable run.")
    split: Literal["train", "test"] = Field("train", description="Split to load.")
    limit: int | None = Field(None, ge=1, description="At most this many problems, in file order.")


Source = Annotated[ArithmeticSource | StarGraphSource | FilesSource | PublicSource, Field(discriminator="source")]
