"""What a release holds and where it goes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stepforge.builders.configs import CONFIGS
from stepforge.builders.errors import did_you_mean
from stepforge.cards.address import read_address
from stepforge.cards.semver import parse_version
from stepforge.pipelines.options.base import Options, misfits, pattern


def _version(text: object) -> str:
    if not isinstance(text, str):  # YAML reads 1.0 as a number
        raise ValueError('must be three numbers in quotes, such as "1.0.0"')
    with misfits():
        return str(parse_version(text))


def _address(to: str) -> str:
    with misfits():
        read_address(to)
    return to


def _known(name: str) -> str:
    if name not in CONFIGS:
        raise ValueError(f"{name!r} is no config of a release; allowed: {', '.join(CONFIGS)}"
                         f"{did_you_mean(name, CONFIGS)}")
    return name


ConfigName = Annotated[str, AfterValidator(_known)]
PLAIN: tuple[ConfigName, ...] = tuple(name for name, config in CONFIGS.items() if not config.asked)


class ReleaseOptions(Options):
    configs: tuple[ConfigName, ...] = Field(
        PLAIN, min_length=1, description="Configs to publish; NAME_chat is NAME as messages."
    )
    max_positives_per_problem: int = Field(4, ge=1, description="Cap on positives for each problem.")
    max_negatives_per_problem: int = Field(8, ge=1, description="Cap on negatives for each problem.")
    max_pairs_per_problem: int = Field(8, ge=1, description="Cap on pairs for each problem, rule and mode.")
    pair_margin: float = Field(0.1, ge=0, le=1, description="Least q_chosen - q_rejected of a shared-prefix pair.")
    min_pit_drop: float = Field(
        0.0, ge=-1, le=1, description="Least fall of q at a pit that makes a step pair, certain at 95%; -1: any pit."
    )
    keep_truncated: bool = Field(False, description="Let solutions cut off at the length limit be negatives.")
    unsound_positives: Literal["flag", "drop"] = Field(
        "flag", description="What becomes of correct solutions and better steps that equations or a judge found wrong."
    )
    spurious_positives: Literal["keep", "flag", "drop"] = Field(
        "flag", description="What becomes of correct solutions with a step that lowered the value."
    )
    spurious_below: float = Field(-0.2, ge=-1, le=0, description="Advantage below which such a step is spurious.")
    choose_positives: Literal["hash", "least_spurious"] = Field(
        "hash", description="Which positives a cap takes: any, or those with the least of such steps, annotated first."
    )
    text_behind_answer: Literal["cut", "drop", "keep"] = Field(
        "drop", description="What becomes of a correct solution that goes on behind its answer: cut behind the "
        "answer's line, dropped, or kept with the number of characters."
    )
    max_behind_answer: int = Field(200, ge=0, description="Characters behind that line from which this is done.")
    rollout_positives: bool = Field(
        False, description="Fill up the positives of a problem with verified rollouts, marked by their origin."
    )
    pair_negatives: Literal["lost", "all"] = Field(
        "lost", description="Negatives in pairs of responses: those with a pit, as in step pairs, or all."
    )
    max_length_ratio: float | None = Field(
        None, ge=1, description="Most that one side of a pair may be longer than the other: responses, or steps."
    )
    values: Literal["measured", "model"] = Field(
        "measured", description="Values and advantages in `stepwise` and `weighted`: those measured by rollouts, null "
        "where there are none, or those of the adaptive search's model, which knows one for every step."
    )
    labels: Literal["evidence", "threshold", "first_zero"] = Field(
        "evidence", description="Labels in `stepwise`: by evidence that the answer can still be reached; by the share "
        "of successes there or later; or true up to the first step without a success (SCAN, arXiv 2509.16548)."
    )
    false_below: float = Field(
        0.3, gt=0, le=1, description="evidence: a step is false once the interval of its value ends at or below this."
    )
    label_threshold: float = Field(
        0.75, gt=0, le=1, description="threshold: least share of successes of a true step (SCAN, arXiv 2509.16548)."
    )
    after_pit: Literal["drop", "keep"] = Field(
        "drop", description="What becomes in `weighted` of the steps behind a pit, whose advantage is about 0, and, "
        "in a negative without one, of those behind the last step from which a rollout reached the answer."
    )
    weight_beta: float = Field(0.5, ge=0.01, description="Temperature of advantage weights exp(A/beta).")
    weight_max: float = Field(5.0, gt=0, description="Cap on those weights, before they are scaled to mean 1.")
    pass_rate: tuple[float, float] | None = Field(
        None, description="Least and most pass rate of a problem in `rl`; problems without samples are left out then."
    )
    rl_generator: str | None = Field(
        None, description="Generator whose prompt and pass rate stand in `rl`; null for the samples of all generators "
        "under the prompt of the first."
    )
    splits: dict[str, float] = Field(default={"test": 0.05}, description="Share of the groups: test, validation.")
    to: Annotated[str, AfterValidator(_address)] | None = Field(
        None, pattern=pattern(r"^(hub|local):.+", "hub:ORG/NAME or local:PATH"),
        description="hub:ORG/NAME or local:PATH.",
    )
    version: Annotated[str, BeforeValidator(_version)] = Field("1.0.0", description="Version that is published.")
    allow_failed: bool = Field(
        False, description="Build and publish although requests failed; by default they are awaited first."
    )
    private: bool = Field(False, description="Create the Hub repository private.")
    license: str | None = Field(None, description="License of the release; by default that of the sources.")

    @model_validator(mode="after")
    def _shares(self) -> "ReleaseOptions":
        shares = self.splits.values()
        if set(self.splits) - {"validation", "test"} or not all(0 <= share for share in shares) or sum(shares) >= 1:
            raise ValueError("splits: `validation` and `test` are allowed, with shares from 0 and below 1 together, "
                             f"got {dict(self.splits)}")
        if self.pass_rate is not None and not 0 <= self.pass_rate[0] <= self.pass_rate[1] <= 1:
            raise ValueError(f"pass_rate: two shares from 0 to 1, the least first, are allowed, got {self.pass_rate}")
        return self
