"""The recipe: one YAML file that is the whole input of a run.

In: a YAML file. Out: a frozen, validated `Recipe`. Unknown keys are refused, every field has one sentence that is also
its documentation, and a mistake raises `RecipeError`, whose message names the field, the value and what is allowed.
The options of its parts, and every default of the project, stand in `options/` and nowhere else.
"""

import copy
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from math import ceil, log, log1p
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from stepforge.builders.configs import CONFIGS
from stepforge.builders.errors import UserError, did_you_mean
from stepforge.builders.manifest import MOST_FILES
from stepforge.pipelines.options.base import NAME, Options
from stepforge.pipelines.options.budget import Budget
from stepforge.pipelines.options.executor import Executor
from stepforge.pipelines.options.generators import EndpointGenerator, Generator, RecordedGenerator, Sampler
from stepforge.pipelines.options.keys import foreign_key
from stepforge.pipelines.options.misfits import sentences
from stepforge.pipelines.options.release import PLAIN, ReleaseOptions
from stepforge.pipelines.options.sources import Source
from stepforge.pipelines.options.stages import Annotate, Decontaminate, Deduplicate, Judge, Synthesize, Verify


class RecipeError(UserError):
    """The recipe does not hold what it must."""


class Recipe(Options):
    name: str = Field(pattern=NAME, description="Name of the run and its folder.")
    seed: int = Field(0, description="Seed of the run; every random draw derives its own seed from it.")
    problems: tuple[Source, ...] = Field(min_length=1, description="Where problems come from.")
    subset: int | None = Field(None, ge=1, description="Number of problems to work on, drawn at random by hash; a "
                                                       "larger number keeps the earlier ones.")
    decontaminate: Decontaminate | None = Field(None, description="Evaluation sets to keep out of the training "
                                                                  "problems; omit to skip.")
    synthesize: Synthesize | None = Field(None, description="New problems written by a model; omit to skip.")
    generators: tuple[Generator, ...] = Field(min_length=1, description="Models, or recorded samples, that provide "
                                                                        "solutions.")
    budget: Budget | None = Field(None, description="Equal budgets for all generators; omit to use their `samples`.")
    verify: Verify = Field(Verify(), description="How solutions are verified.")
    deduplicate: Deduplicate = Field(Deduplicate(), description="Which solutions of a problem count as duplicates.")
    judge: Judge | None = Field(None, description="Reasoning judged by a model; omit to skip.")
    annotate: Annotate | None = Field(None, description="Step values by rollouts; omit to skip.")
    release: ReleaseOptions = Field(ReleaseOptions(), description="What the release contains and where it goes.")
    executor: Executor = Field(Executor(), description="Where stages run, and in how many shards.")

    @model_validator(mode="after")
    def _names_fit(self) -> "Recipe":
        names = [generator.name for generator in self.generators]
        if len(set(names)) < len(names):
            raise ValueError(f"generators: every name must differ, got {names}")
        able = {g.name: g for g in self.generators if not isinstance(g, RecordedGenerator)}
        for field, name, count, draws in self._writers():
            if name not in able:
                raise ValueError(f"{field}: {name!r} is not among {list(able)}, the generators that can write"
                                 f"{did_you_mean(name, able)}")
            if draws > 1 and able[name].temperature == 0:
                raise ValueError(f"{count}: {draws} draws at temperature 0 would all be the same; take 1, or give "
                                 f"{name!r} a temperature above 0")
        for generator in self.generators:
            if getattr(generator, "api", None) == "chat" and generator.prompt.partition(":")[0] == "chat":
                raise ValueError(f"generators: {generator.name!r} is asked by chat, where the server applies the chat "
                                 "template; take another prompt, or `api: completions`")
        self._judge_reads()
        if self.verify.judge is not None and self.executor.of("verify").tasks_per_job > 1:
            raise ValueError(f"tasks_per_job: {self.executor.of('verify').tasks_per_job} for verify, whose judge is a "
                             "model; datatrove's inference runner skips data when it serves a second shard in one "
                             "process. Allowed is 1: set executor.stages.verify.tasks_per_job to 1")
        if self.budget is not None:
            self._budget_fits(self.budget, {name: g for name, g in able.items() if g.samples})
        if self.annotate is not None and getattr(able[self.annotate.policy], "api", None) == "chat":
            raise ValueError(
                f"annotate.policy: {self.annotate.policy!r} is asked by chat, which cannot continue a solution from a "
                "step; take a generator with `api: completions`, or leave annotate out"
            )
        self._release_fits(self.release, names)
        return self

    def _release_fits(self, release: ReleaseOptions, names: list[str]) -> None:
        files = self.executor.buckets * len(release.configs) * (1 + len(release.splits))
        if release.shards == "buckets" and files > MOST_FILES:
            raise ValueError(f"release.shards: buckets may make {files:,} files, for {self.executor.buckets:,} "
                             f"buckets, {len(release.configs)} configs and their splits; a release has {MOST_FILES:,} "
                             "at most. Name fewer configs, lower executor.buckets, or take `shards: size`")
        if release.rl_generator is not None and release.rl_generator not in names:
            raise ValueError(f"release.rl_generator: {release.rl_generator!r} is not a generator; the generators "
                             f"are {names}{did_you_mean(release.rl_generator, names)}")
        if release.values == "model" and (self.annotate is None or self.annotate.search != "adaptive"):
            raise ValueError("release.values: model needs `annotate.search: adaptive`, whose model knows a value for "
                             "every step; set that, or take `values: measured`")
        if self.annotate is not None:
            return
        wanted = [name for name in release.configs if CONFIGS[name].annotated]
        if wanted and set(release.configs) != set(PLAIN):  # by default they are there and have no rows
            raise ValueError(f"release.configs: {', '.join(wanted)} hold annotated solutions; give `annotate` with "
                             "a policy, or leave them out")
        for name in ("rollout_positives", "rollout_negatives"):
            if getattr(release, name):
                raise ValueError(f"release.{name}: annotate makes the rollouts; give `annotate` with a policy, or "
                                 "leave this false")

    def _judge_reads(self) -> None:
        """Whether the judge reads what others ask of it, in the steps that annotate values."""
        judge, annotate = self.judge, self.annotate
        evidence = annotate is not None and "judge" in annotate.evidence
        if evidence and (judge is None or (judge.incorrect_per_generator == 0 and not judge.annotated)):
            raise ValueError("annotate.evidence: `judge` needs a `judge` that reads incorrect solutions; give one, "
                             "with `annotated: true`, or judge.incorrect_per_generator null (all) or above 0")
        if self.release.consensus and (judge is None or not judge.annotated):
            raise ValueError("release.consensus: needs a `judge` that reads the annotated solutions; give one, with "
                             "`annotated: true`, or leave consensus out")
        if judge is not None and judge.annotated and annotate is None:
            raise ValueError("judge.annotated: nothing is annotated; give `annotate` with a policy, or leave this out")
        for field in ("splitter", "max_steps"):
            ours, theirs = getattr(annotate, field, None), getattr(judge, field, None)
            if annotate and judge and ours != theirs:
                raise ValueError(f"judge.{field}: the judge splits solutions by {field} {theirs!r}, annotate by "
                                 f"{ours!r}, and their first errors are compared; set both to the same value")

    def _budget_fits(self, budget: Budget, sampled: Mapping[str, Sampler]) -> None:
        if recorded := [g.name for g in self.generators if isinstance(g, RecordedGenerator)]:
            raise ValueError(f"budget: {recorded} are recorded; a budget decides how many samples to write, so "
                             "it allows only generators that write")
        if isinstance(budget.per_problem, str) and budget.per_problem not in sampled:
            raise ValueError(f"budget.per_problem: {budget.per_problem!r} is neither a number nor among "
                             f"{list(sampled)}, the generators with samples")
        if budget.match == "samples" and isinstance(budget.per_problem, float) and budget.per_problem < 1:
            raise ValueError(f"budget.per_problem: {budget.per_problem} does not pay for a sample; allowed is 1 "
                             "or more")
        if budget.match == "price" and (free := [name for name, g in sampled.items() if g.price is None]):
            raise ValueError(f"budget.match: {free} have no `price` (per million generated tokens), which a budget "
                             "by price needs")

    def _writers(self) -> Iterator[tuple[str, str, str, int]]:
        """Fields that name a generator, with the fields that say how often it is asked the same."""
        if self.synthesize is not None:
            yield "synthesize.writer", self.synthesize.writer, "synthesize.per_seed", self.synthesize.per_seed
            yield "synthesize.solver", self.synthesize.solver, "synthesize.solutions", self.synthesize.solutions
        if self.verify.judge is not None:
            yield "verify.judge", self.verify.judge, "verify.votes", self.verify.votes
        if self.judge is not None:
            yield "judge.generator", self.judge.generator, "judge.votes", self.judge.votes
        if self.annotate is not None:
            yield "annotate.policy", self.annotate.policy, "annotate.rollouts", self.annotate.rollouts

    def warnings(self) -> list[str]:
        """What to know before running it: keys that go to another service, labels that no evidence can decide."""
        asked = [g for g in self.generators if isinstance(g, EndpointGenerator) and g.key_variable is not None]
        foreign = [(g.name, foreign_key(str(g.key_variable), g.url)) for g in asked]
        return [*(f"generator {name!r}: {warning}" for name, warning in foreign if warning), *self._never_false()]

    def _never_false(self) -> Iterator[str]:
        """Where so few rollouts, none of them a success, leave a value above `false_below` possible at 95%.

        The adaptive search makes more of them at a step that matters.
        """
        annotate, release = self.annotate, self.release
        if annotate is None or annotate.search == "adaptive" or release.labels != "evidence" \
                or "stepwise" not in release.configs:
            return
        most = 1 - TAIL ** (1 / annotate.rollouts)
        if most > release.false_below:
            enough = ceil(log(TAIL) / log1p(-release.false_below))
            yield (f"release.false_below: after {annotate.rollouts} rollouts without a success a value of {most:.2f} "
                   "is still possible, so `stepwise` calls no step false but a last one; take annotate.rollouts "
                   f"{enough} or more, or a false_below of {ceil(100 * most) / 100} or more")

    def generator(self, name: str) -> Generator:
        return next(g for g in self.generators if g.name == name)


TAIL = 0.025  # beyond one end of an interval at 95%
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]+)\}")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")
SHIPPED = Path(__file__).parent / "recipes"


def find_recipe(name: Path) -> Path:
    """A file, or one of the recipes that come with the package, by its bare name."""
    shipped = SHIPPED / f"{name}.yaml"
    return shipped if not name.is_file() and name.name == str(name) and shipped.exists() else name


def shipped_recipes() -> dict[str, str]:
    """The purpose of each recipe that comes with the package, by name: the first sentence of its first comment."""
    purposes = {}
    for file in sorted(SHIPPED.glob("*.yaml")):
        lines = file.read_text(encoding="utf-8").splitlines()[1:]  # the first is for editors
        comment = " ".join(line[2:] for line in takewhile(lambda line: line.startswith("# "), lines))
        purposes[file.stem] = comment.split(". ")[0].rstrip(".") + "."
    return purposes


def load_recipe(path: Path, changes: Iterable[str] = ()) -> Recipe:
    """Read and validate a recipe file, or a shipped recipe by name.

    `${NAME}` in a text is replaced by an environment variable.

    Args:
        path: path of a YAML file, or name of a shipped recipe.
        changes: options to set, such as "generators.0.samples=16"; values are YAML.

    Raises:
        RecipeError: the file is missing, not YAML or not valid; the message lists every mistake.
    """
    return make_recipe(read_options(find_recipe(path)), changes, str(path))


def read_options(path: Path) -> dict[str, Any]:
    """The options in a recipe file, not validated yet; errors as for `load_recipe`."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        names = shipped_recipes()
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}{did_you_mean(str(path), names)}; "
                          f"shipped recipes: {', '.join(names)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise RecipeError(f"{path} must hold a mapping with the keys {sorted(Recipe.model_fields)}")
    return loaded


def make_recipe(options: dict[str, Any], changes: Iterable[str] = (), name: str = "the recipe") -> Recipe:
    """Validate the options of a recipe; arguments and errors as for `load_recipe`."""
    changed = copy.deepcopy(options)
    for change in changes:
        _set(changed, change)
    try:
        return Recipe.model_validate(_with_variables(changed))
    except ValidationError as error:
        lines = [f"\n  {line}" for line in sentences(error.errors(), Recipe)]
        raise RecipeError(f"{name} does not fit:{''.join(lines)}") from error


def _set(options: dict[str, Any], change: str) -> None:
    """Put one value in its place; mappings on the way are made where they are missing."""
    dotted, equals, text = change.partition("=")
    if not equals or not dotted:
        raise RecipeError(f"--set {change!r}: write OPTION=VALUE, such as generators.0.samples=16")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {dotted}: the value {text!r} is not valid YAML") from error
    *parts, last = dotted.split(".")
    place: Any = options
    for part in parts:
        if isinstance(place, dict) and place.get(part) is None:
            place[part] = {}
        place = place[_key(place, part, dotted)]
    place[_key(place, last, dotted)] = value


def _key(place: Any, part: str, dotted: str) -> str | int:
    """The key of `part` in `place`, which is a mapping or a list that is long enough."""
    if isinstance(place, dict):
        return part
    if isinstance(place, list) and part.isdecimal() and int(part) < len(place):
        return int(part)
    held = f"a list of {len(place)}, counted from 0" if isinstance(place, list) else "a single value"
    raise RecipeError(f"--set {dotted}: there is no {part!r} here; the part before it is {held}")


def _with_variables(value: Any) -> Any:
    """`value` with `${NAME}` in its texts replaced.

    Raises:
        RecipeError: the variable is not set, or its name says that it holds a secret: recipes are published.
    """
    if isinstance(value, dict):
        return {key: _with_variables(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_variables(inner) for inner in value]
    return VARIABLE.sub(_variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    name = match[1]
    if SECRET.search(name):
        raise RecipeError(f"${{{name}}} looks like a secret, and a recipe is part of what is published; name the "
                          "variable in `key_variable`, which is read when a request is sent")
    if name not in os.environ:
        raise RecipeError(f"${{{name}}}: there is no such environment variable; set it, or write the value")
    return os.environ[name]
