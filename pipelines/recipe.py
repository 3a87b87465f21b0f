"""The recipe: one YAML file that is the whole input of a run.

In: a YAML file. Out: a frozen, validated `Recipe`. Unknown keys are refused, every field has one sentence that is also
its documentation, and a mistake raises `RecipeError`, whose message names the field, the value and what is allowed.
Every default of the project stands here and nowhere else.
"""

from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from stepforge.builders.errors import UserError

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
VERSION = r"^\d+\.\d+\.\d+$"
ConfigName = Literal["positives", "negatives", "unpaired", "pairs", "step_pairs", "stepwise", "weighted",
                     "solutions", "problems", "steps", "rollouts",
                     "positives_chat", "negatives_chat", "unpaired_chat", "pairs_chat"]
CONFIGS: tuple[ConfigName, ...] = tuple(name for name in get_args(ConfigName) if not name.endswith("_chat"))


class RecipeError(UserError):
    """The recipe does not hold what it must."""


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
    paths: list[str] = Field(min_length=1, description="JSONL, CSV or Parquet files (globs allowed).")
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


class Sampling(Options):
    """What, beside the model and the prompt, decides the distribution of a completion."""

    temperature: float = Field(0.7, ge=0, le=5, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus: smallest set of tokens with this mass.")
    top_k: int = Field(0, ge=0, description="Keep this many likeliest tokens; 0 keeps all.")
    max_tokens: int = Field(256, ge=1, description="Longest completion in tokens.")
    stop: tuple[str, ...] = Field((), description="Strings that end a completion.")


class _Sampler(Sampling):
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    prompt: str = Field("plain", description="Name of a prompt template, or a Jinja template of your own.")
    samples: int = Field(8, ge=0, description="Solutions for each problem; 0 for a model that only judges.")


class EmbeddedGenerator(_Sampler):
    engine: Literal["embedded"]
    model: str = Field("tiny", description="The shipped tiny model, or a folder with a Llama-style model.")


class RecordedGenerator(Options):
    engine: Literal["recorded"]
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    paths: list[str] = Field(default=[], description="JSONL, CSV or Parquet files with solutions (globs allowed).")
    hub: str | None = Field(None, description="Or a dataset on the Hub.")
    revision: str | None = Field(None, description="Its revision.")
    hub_split: str = Field("train", description="Its split.")
    model: str = Field("recorded", description="The model that wrote them, for the card.")
    problem: str = Field("problem", description="Column with the problem's text (or its problem_id).")
    solution: str = Field("solution", description="Column with one solution, a list of them, or a list of records.")
    solution_key: str | None = Field(None, description="Where the solutions are records: the key of the text.")
    prompt: str = Field("plain", description="Prompt template that the release writes before these solutions.")
    samples: int | None = Field(None, ge=1, description="At most this many for each problem; all by default.")

    @model_validator(mode="after")
    def _one_place(self) -> "RecordedGenerator":
        if bool(self.paths) == bool(self.hub):
            raise ValueError("give either `paths` or `hub`")
        return self


Generator = Annotated[EmbeddedGenerator | RecordedGenerator, Field(discriminator="engine")]


class Verify(Options):
    timeout_s: float = Field(5.0, gt=0, description="Hard deadline of one symbolic comparison, in seconds.")
    memory_mb: int = Field(1024, ge=128, description="Memory limit of one verifying process.")


class Deduplicate(Options):
    by: Literal["text", "equations"] = Field("text", description="What makes two solutions of a problem the same.")


class Annotate(Options):
    policy: str = Field(description="Name of the generator that continues the prefixes.")
    rollouts: int = Field(16, ge=1, description="Rollouts for each step.")
    search: Literal["exhaustive", "scan", "bisect", "adaptive"] = Field(
        "exhaustive", description="How rollouts are spent on steps."
    )
    splitter: str = Field("newline", description="How a solution is cut into steps.")
    max_steps: int | None = Field(None, ge=1, description="Merge what lies behind this many steps into the last.")
    pit: Literal["argmin_q", "zero_success", "largest_drop"] = Field("argmin_q", description="Rule of the first pit.")
    pit_tolerance: float = Field(0.05, ge=0, le=1, description="Tolerance of argmin_q.")
    best_of: int = Field(1, ge=1, description="K of the best-of-K policy whose values the pit rule reads.")
    negatives_per_problem: int = Field(8, ge=0, description="Incorrect solutions annotated for each problem.")
    positives_per_problem: int = Field(2, ge=0, description="Correct solutions annotated for each problem.")
    alternatives_per_pit: int = Field(2, ge=0, description="Candidates for the chosen step of a shared-prefix pair.")
    token_budget: int | None = Field(None, ge=1, description="Most rollout tokens for one problem.")

    @model_validator(mode="after")
    def _best_of_fits(self) -> "Annotate":
        if self.best_of > self.rollouts:
            raise ValueError(f"best_of must not exceed rollouts, got {self.best_of} and {self.rollouts}")
        return self


class Judge(Options):
    """A model that reads solutions and says where the first error is. It samples as its generator does."""

    generator: str = Field(description="Name of the generator that judges.")
    prompt: str = Field("critique", description="`critique`, or a Jinja template with problem, answer, steps.")
    votes: int = Field(1, ge=1, le=99, description="Opinions on each solution; more than half of them decide.")
    correct_per_generator: int | None = Field(200, ge=0, description="Correct solutions to judge; null for all.")
    incorrect_per_generator: int | None = Field(0, ge=0, description="Incorrect solutions to judge; null for all.")
    splitter: str = Field("newline", description="How a solution is cut into the steps that the judge sees.")
    max_tokens: int = Field(512, ge=8, description="Longest critique in tokens; one that is cut off is undecided.")


class ReleaseOptions(Options):
    configs: tuple[ConfigName, ...] = Field(
        CONFIGS, min_length=1, description="Configs to publish; NAME_chat is NAME as messages."
    )
    max_positives_per_problem: int = Field(4, ge=1, description="Cap on positives for each problem.")
    max_negatives_per_problem: int = Field(8, ge=1, description="Cap on negatives for each problem.")
    max_pairs_per_problem: int = Field(8, ge=1, description="Cap on pairs for each problem, rule and mode.")
    pair_margin: float = Field(0.1, ge=0, le=1, description="Least q_chosen - q_rejected of a shared-prefix pair.")
    min_pit_drop: float = Field(0.0, ge=0, le=1, description="Least fall of q at a pit that makes a step pair.")
    keep_truncated: bool = Field(False, description="Let solutions cut off at the length limit be negatives.")
    unsound_positives: Literal["keep", "flag", "drop"] = Field(
        "flag", description="What becomes of correct answers with reasoning that equations or a judge found wrong."
    )
    weight_beta: float = Field(0.5, gt=0, description="Temperature of advantage weights exp(A/beta).")
    weight_max: float = Field(5.0, gt=0, description="Cap on those weights, before they are scaled to mean 1.")
    splits: dict[str, float] = Field(default={"test": 0.05}, description="Share of problem groups for each split.")
    to: str | None = Field(None, pattern=r"^(hub|local):.+", description="hub:ORG/NAME or local:PATH.")
    version: str = Field("1.0.0", pattern=VERSION, description="Version that is published.")
    private: bool = Field(False, description="Create the Hub repository private.")
    license: str | None = Field(None, description="License of the release; by default that of the sources.")

    @model_validator(mode="after")
    def _shares(self) -> "ReleaseOptions":
        if set(self.splits) - {"test"} or not all(0 <= share < 1 for share in self.splits.values()):
            raise ValueError(f"splits: only `test` with a share from 0 to below 1 is allowed, got {dict(self.splits)}")
        return self


class Executor(Options):
    kind: Literal["local"] = Field("local", description="Where stages run.")
    tasks: int = Field(2, ge=1, le=10_000, description="Shards of a stage; more shards need less memory each.")
    workers: int = Field(2, ge=1, description="Shards that run at the same time.")
    duckdb_memory: str = Field("2GiB", pattern=r"^\d+(\.\d+)?\s?[KMGT]i?B$", description="Memory limit of DuckDB.")


class Recipe(Options):
    name: str = Field(pattern=NAME, description="Name of the run and of its folder.")
    seed: int = Field(0, description="Seed from which every draw's seed is derived.")
    problems: tuple[Source, ...] = Field(min_length=1, description="Where problems come from.")
    generators: tuple[Generator, ...] = Field(min_length=1, description="What writes solutions.")
    verify: Verify = Verify()
    deduplicate: Deduplicate = Deduplicate()
    judge: Judge | None = Field(None, description="Reasoning judged by a model; leave out to skip.")
    annotate: Annotate | None = Field(None, description="Step values by rollouts; leave out to skip.")
    release: ReleaseOptions = ReleaseOptions()
    executor: Executor = Executor()

    @model_validator(mode="after")
    def _names_fit(self) -> "Recipe":
        names = [generator.name for generator in self.generators]
        if len(set(names)) < len(names):
            raise ValueError(f"generators: every name must differ, got {names}")
        able = {g.name: g for g in self.generators if not isinstance(g, RecordedGenerator)}
        if self.judge is not None:
            name, votes = self.judge.generator, self.judge.votes
            if name not in able:
                raise ValueError(f"judge.generator: {name!r} is not among {list(able)}, the generators that can write")
            if votes > 1 and able[name].temperature == 0:
                raise ValueError(f"judge.votes: {votes} votes at temperature 0 would all be the same; take 1 vote, or "
                                 f"give {name!r} a temperature above 0")
        if self.annotate is not None and self.annotate.policy not in able:
            raise ValueError(
                f"annotate.policy: {self.annotate.policy!r} is not among {list(able)}, the generators that can "
                "continue a prefix"
            )
        return self

    def generator(self, name: str) -> Generator:
        return next(g for g in self.generators if g.name == name)


SHIPPED = Path(__file__).parent / "recipes"


def find_recipe(name: Path) -> Path:
    """A file, or one of the recipes that come with the package, by its bare name."""
    shipped = SHIPPED / f"{name}.yaml"
    return shipped if not name.exists() and name.name == str(name) and shipped.exists() else name


def load_recipe(path: Path) -> Recipe:
    """Read and validate a recipe file, or a shipped recipe by name.

    Raises:
        RecipeError: the file is missing, is not YAML, or does not fit; the message lists every misfit.
    """
    try:
        loaded = yaml.safe_load(find_recipe(path).read_text(encoding="utf-8"))
    except OSError as error:
        shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}; shipped recipes: {shipped}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise RecipeError(f"{path} must hold a mapping with the keys {sorted(Recipe.model_fields)}")
    try:
        return Recipe.model_validate(loaded)
    except ValidationError as error:
        raise RecipeError(f"{path} does not fit:\n" + "\n".join(map(_misfit, error.errors()))) from error


def _misfit(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "recipe"
    value = "" if isinstance(error["input"], dict | list) else f" (got {str(error['input'])[:80]!r})"
    if error["type"] == "extra_forbidden":
        return f"  {where}: unknown key; allowed here: {_allowed(error['loc'])}"
    return f"  {where}: {error['msg'].removeprefix('Value error, ')}{value}"


def _allowed(location: tuple[int | str, ...]) -> str:
    """Names of the fields of the model that an unknown key was written into."""
    model: type[BaseModel] = Recipe
    tagged: dict[str, type[BaseModel]] = {
        "arithmetic": ArithmeticSource, "star_graph": StarGraphSource, "files": FilesSource, "gsm8k": PublicSource,
        "math": PublicSource, "embedded": EmbeddedGenerator, "recorded": RecordedGenerator, "verify": Verify,
        "deduplicate": Deduplicate, "judge": Judge, "annotate": Annotate, "release": ReleaseOptions,
        "executor": Executor,
    }
    for part in location[:-1]:
        model = tagged.get(str(part), model)
    return ", ".join(model.model_fields)
