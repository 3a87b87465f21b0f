"""What a release holds and where it goes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stepforge.builders.configs import CONFIGS
from stepforge.builders.errors import did_you_mean
from stepforge.cards.address import read_address, read_version_address
from stepforge.cards.semver import parse_version
from stepforge.pipelines.options.base import Options, misfits, pattern
from stepforge.pipelines.options.places import Place


def _version(text: object) -> str:
    if not isinstance(text, str):  # YAML reads 1.0 as a number
        raise ValueError('must be `auto`, or three numbers in quotes, such as "1.0.0"')
    with misfits():
        return text if text == "auto" else str(parse_version(text))


def _address(to: str) -> str:
    with misfits():
        read_address(to)
    return to


def _version_address(address: str) -> str:
    with misfits():
        read_version_address(address)
    return address


def _known(name: str) -> str:
    if name not in CONFIGS:
        raise ValueError(f"{name!r} is not a config of a release; allowed: {', '.join(CONFIGS)}"
                         f"{did_you_mean(name, CONFIGS)}")
    return name


ConfigName = Annotated[str, AfterValidator(_known)]
PLAIN: tuple[ConfigName, ...] = tuple(name for name, config in CONFIGS.items() if not config.asked)


class ReleaseOptions(Options):
    configs: tuple[ConfigName, ...] = Field(
        PLAIN, min_length=1, description="Configs to build and publish; NAME_chat contains NAME as messages."
    )
    max_positives_per_problem: int = Field(4, ge=1, description="Largest number of positives per problem.")
    max_negatives_per_problem: int = Field(8, ge=1, description="Largest number of negatives per problem.")
    max_pairs_per_problem: int = Field(8, ge=1, description="Largest number of pairs per problem, rule and mode.")
    pair_margin: float = Field(0.1, ge=0, le=1, description="Smallest q_chosen - q_rejected of a shared-prefix pair.")
    min_pit_drop: float = Field(
        0.0, ge=-1, le=1, description="Smallest fall of q at a pit, certain at 95%, for a step pair; -1 accepts any "
                                      "pit."
    )
    keep_truncated: bool = Field(False, description="Allow solutions that were truncated at the length limit as "
                                                    "negatives.")
    unsound_positives: Literal["flag", "drop"] = Field(
        "flag", description="Whether to flag or drop correct solutions and chosen steps that equations or a judge "
                            "found unsound."
    )
    spurious_positives: Literal["keep", "flag", "drop"] = Field(
        "flag", description="Whether to keep, flag or drop correct solutions with a spurious step."
    )
    spurious_below: float = Field(-0.2, ge=-1, le=0, description="Advantage below which a step of a correct solution "
                                                                 "is spurious.")
    choose_positives: Literal["hash", "least_spurious"] = Field(
        "hash", description="Which positives to keep under the cap: by hash, or those with the smallest share of "
                            "spurious steps, annotated ones first."
    )
    text_behind_answer: Literal["cut", "drop", "keep"] = Field(
        "drop", description="Whether to cut, drop or keep a correct solution that continues after the line of its "
                            "answer; the number of characters is recorded."
    )
    max_behind_answer: int = Field(200, ge=0, description="Largest number of characters after that line that "
                                                          "`text_behind_answer` leaves alone; a further problem that "
                                                          "the model made up never is.")
    rollout_positives: bool = Field(
        False, description="Add verified rollouts where a problem has too few positives; `origin` marks them."
    )
    rollout_negatives: bool = Field(
        False, description="The same of negatives, by rollouts that reached a wrong answer; they stand in no pair."
    )
    max_solution_tokens: int | None = Field(
        None, ge=1, description="Longest solution in configs that train, in tokens as its generator counted them, "
        "else of three characters."
    )
    pair_negatives: Literal["lost", "all"] = Field(
        "lost", description="Negatives to use in `pairs`: only those with a pit (`lost`), as in `step_pairs`, or "
                            "`all`."
    )
    max_length_ratio: float | None = Field(
        None, ge=1, description="Largest ratio of the lengths of the two sides of a pair; null for no limit."
    )
    values: Literal["measured", "model"] = Field(
        "measured", description="Values in `stepwise` and `weighted`: `measured` by rollouts (null without rollouts), "
                                "or from the `model` of the adaptive search, which has a value for each step."
    )
    labels: Literal["evidence", "threshold", "first_zero"] = Field(
        "evidence", description="Rule for the labels in `stepwise`: by evidence that the answer can still be reached, "
                                "by a threshold on the share of successes there or later, or true up to the first "
                                "step without a success (SCAN, arXiv 2509.16548)."
    )
    false_below: float = Field(
        0.3, gt=0, le=1, description="For `labels: evidence`: a step is false if the interval of its value ends at or "
                                     "below this."
    )
    label_threshold: float = Field(
        0.75, gt=0, le=1, description="For `labels: threshold`: smallest share of successes of a true step (SCAN, "
                                      "arXiv 2509.16548)."
    )
    consensus: bool = Field(
        False, description="Keep solutions in `stepwise`, and pits in `step_pairs`, only where the judge names the "
        "first error that rollouts find (arXiv 2501.07301); needs `judge.annotated`."
    )
    after_pit: Literal["drop", "keep"] = Field(
        "drop", description="Whether to drop or keep the steps after a pit in `weighted`; in a negative without a "
                            "pit, the steps after the last one from which a rollout reached the answer."
    )
    weight_beta: float = Field(0.5, ge=0.01, description="Temperature beta of the advantage weights exp(A/beta).")
    weight_max: float = Field(5.0, gt=0, description="Largest advantage weight, before weights are scaled to mean 1.")
    pass_rate: tuple[float, float] | None = Field(
        None, description="Smallest and largest pass rate of the problems in `rl`; if set, problems without samples "
                          "are left out."
    )
    rl_generator: str | None = Field(
        None, description="Generator whose prompt and pass rate `rl` uses; null for the samples of all generators "
                          "with the prompt of the first."
    )
    shards: Literal["size", "buckets"] = Field(
        "size", description="Whether files end at a size, or there is one file per bucket, config and split, so that "
                            "another row in one bucket changes the files of that bucket alone."
    )
    splits: dict[str, float] = Field(default={"test": 0.05}, description="Shares of the problem groups that go to "
                                                                         "test and validation.")
    keep_splits: Annotated[Annotated[str, AfterValidator(_version_address)] | None, Place()] = Field(
        None, pattern=pattern(r"^(hub|local):.+@.+", "hub:ORG/NAME@VERSION or local:PATH@VERSION"),
        description="Earlier version whose problems keep their split, such as hub:ORG/NAME@1.0.0; by default every "
                    "group's split is drawn, and problems that join a group may change it.",
    )
    to: Annotated[Annotated[str, AfterValidator(_address)] | None, Place()] = Field(
        None, pattern=pattern(r"^(hub|local):.+", "hub:ORG/NAME or local:PATH"),
        description="Where to publish: hub:ORG/NAME or local:PATH.",
    )
    checkpoint: Annotated[Annotated[str, AfterValidator(_address)] | None, Place()] = Field(
        None, pattern=pattern(r"^(hub|local):.+", "hub:ORG/NAME or local:PATH"),
        description="Where to push finished tables and buckets while the run is unfinished, to the branch "
                    "checkpoint-NAME: hub:ORG/NAME or local:PATH.",
    )
    checkpoint_minutes: float = Field(30, gt=0, description="Minutes between two pushes to `checkpoint`.")
    version: Annotated[str, BeforeValidator(_version)] = Field(
        "auto", description="Version to publish: MAJOR.MINOR.PATCH, or `auto` for the lowest that the change of the "
                            "data demands."
    )
    allow_failed: bool = Field(
        False, description="Build and publish although requests failed; by default the run stops before that."
    )
    private: bool | None = Field(
        None, description="Whether the Hub repository is private. An existing one must match; a new one is private "
                          "unless this is false."
    )
    license: str | None = Field(None, description="License of the release; by default the licenses of the sources.")

    @model_validator(mode="after")
    def _shares(self) -> "ReleaseOptions":
        shares = self.splits.values()
        if set(self.splits) - {"validation", "test"} or not all(0 <= share for share in shares) or sum(shares) >= 1:
            raise ValueError("splits: `validation` and `test` are allowed, with shares from 0 and below 1 together, "
                             f"got {dict(self.splits)}")
        if self.pass_rate is not None and not 0 <= self.pass_rate[0] <= self.pass_rate[1] <= 1:
            raise ValueError(f"pass_rate: two shares from 0 to 1, the least first, are allowed, got {self.pass_rate}")
        return self
