"""How stages work: new problems, verdicts, deduplication, judging, step values."""

from typing import Any, Literal

from pydantic import Field, model_validator

from stepforge.pipelines.options.base import LEAST_MEMORY_MB, LEAST_TIMEOUT_S, Options, PitRule, Splitter, pattern
from stepforge.pipelines.options.sources import Source

SPLITTING = ("How a solution is cut into steps; auto: the first of headings, paragraphs, lines and sentences that "
             "gives 3 to `max_steps` of them.")
MERGING = "Most steps of a solution: where there would be more, the shortest are merged; null for no limit."


class Synthesize(Options):
    """New problems after those of the sources, each with the answer that a stated majority of solutions gives."""

    writer: str = Field(description="Name of the generator that writes problems.")
    solver: str = Field(description="Name of the generator that solves them.")
    per_seed: int = Field(1, ge=1, le=1000, description="Drafts after each training problem of the sources.")
    solutions: int = Field(8, ge=2, le=1000, description="Solutions of each draft.")
    agreement: float = Field(0.6, gt=0.5, le=1, description="Least share of them that gives the same answer.")
    prompt: str = Field("similar", description="`similar`, or a Jinja template with problem, answer, reference.")
    max_tokens: int = Field(512, ge=8, description="Longest draft in tokens; one that is cut off is dropped.")


class Decontaminate(Options):
    """Evaluation sets that no training problem may come from."""

    against: tuple[Source, ...] = Field(min_length=1, description="The evaluation sets, written as sources are.")
    ngram: int = Field(8, ge=2, le=50, description="Words in a run that two problems may share.")
    overlap: float = Field(0.5, gt=0, le=1, description="Share of an evaluation problem's runs that makes a match.")
    other_numbers: Literal["flag", "drop"] = Field(
        "flag", description="What becomes of an evaluation problem with other numbers in it."
    )


class Verify(Options):
    verifier: str = Field(
        "math", pattern=pattern(r"^(math|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$", "math or module:function"),
        description="`math`, or `module:function`: code of your own, which every command that reads the recipe runs.",
    )
    timeout_s: float = Field(5.0, ge=LEAST_TIMEOUT_S, description="Deadline of one comparison, in CPU seconds.")
    memory_mb: int = Field(
        1024, ge=LEAST_MEMORY_MB, description="Memory limit of one verifying process, in MiB of addresses."
    )
    agreement: float = Field(
        0.6, gt=0.5, le=1, description="Share of the samples of a problem without gold that must give one answer."
    )
    judge: str | None = Field(
        None, description="Name of a generator that rules on answers which stay undecided; null for none."
    )
    votes: int = Field(3, ge=1, le=99, description="Its votes on each; more than half of them decide.")
    judge_tokens: int = Field(256, ge=8, description="Its longest comparison in tokens; one cut off is no vote.")

    def rules(self) -> dict[str, Any]:
        """What decides a verdict before any judge is asked."""
        return self.model_dump(mode="json", exclude={"judge", "votes", "judge_tokens"})

    def opening(self) -> dict[str, Any]:
        """The arguments of `answers.open_verifier`."""
        return {"name": self.verifier, "timeout_s": self.timeout_s, "memory_mb": self.memory_mb}


class Deduplicate(Options):
    by: Literal["text", "equations"] = Field("text", description="What makes two solutions of a problem the same.")
    keep: Literal["first", "shortest", "longest"] = Field(
        "first", description="Which of equal solutions stays, among those that ended by themselves."
    )
    near: float | None = Field(
        None, gt=0, le=1, description="Jaccard index of runs of words from which two are the same; null for never."
    )
    ngram: int = Field(5, ge=1, le=50, description="Words in such a run.")
    near_problems: float | None = Field(
        0.6, gt=0, le=1, description="The same of problems, numbers masked: these share a group; null for never."
    )


class Annotate(Options):
    policy: str = Field(description="Name of the generator that continues the prefixes.")
    rollouts: int = Field(16, ge=1, le=10_000, description="Rollouts for each step.")
    search: Literal["exhaustive", "scan", "bisect", "adaptive"] = Field(
        "exhaustive", description="How rollouts are spent on steps."
    )
    evidence: tuple[Literal["equations", "judge", "values"], ...] = Field(
        ("equations",), description="What the adaptive search reads beside rollouts: false equations, the judge's "
        "first errors, the scores of `value_model`."
    )
    value_model: str | None = Field(
        None, description="For `values`: folder or Hub id of a process reward model, such as `train prm` makes."
    )
    value_revision: str | None = Field(None, description="Branch, tag or commit of the value model on the Hub.")
    value_cut: float = Field(0.5, gt=0, lt=1, description="The first step scored below it counts as named wrong.")
    pilot: int = Field(32, ge=0, description="Problems that teach the adaptive search how values move; 0 for none.")
    splitter: Splitter = Field("auto", description=SPLITTING)
    max_steps: int | None = Field(32, ge=1, description=MERGING)
    pit: PitRule = Field("argmin_q", description="Rule of the first pit.")
    pit_fall: float = Field(
        0.05, ge=-1, lt=1, description="Least fall of q at a pit, certain at 95%; a negative without one has no pit. "
        "-1: a pit wherever the rule names one, as in the paper."
    )
    pit_tolerance: float = Field(
        0.05, ge=0, lt=1, description="Tolerance of argmin_q; above 0 for the adaptive search, whose lost steps are "
        "those at or below it."
    )
    best_of: int = Field(1, ge=1, description="K of the best-of-K policy whose values the pit rule reads.")
    negatives_per_problem: int = Field(8, ge=0, description="Incorrect solutions annotated for each problem.")
    positives_per_problem: int = Field(2, ge=0, description="Correct solutions annotated for each problem.")
    alternatives_per_pit: int = Field(2, ge=0, description="Candidates for the chosen step of a shared-prefix pair.")
    token_budget: int | None = Field(None, ge=1, description="Most rollout tokens for one problem.")

    @model_validator(mode="after")
    def _best_of_fits(self) -> "Annotate":
        if self.best_of > self.rollouts:
            raise ValueError(f"best_of must not exceed rollouts, got {self.best_of} and {self.rollouts}")
        if self.search == "adaptive" and self.pit != "zero_success" and self.pit_tolerance == 0:
            raise ValueError("pit_tolerance: 0 leaves the model of the adaptive search no value that is lost; take "
                             "one above 0, such as 0.05, or another `search`")
        if self.search != "adaptive" and {"judge", "values"} & set(self.evidence):
            raise ValueError(f"evidence: {list(self.evidence)} is read by the adaptive search alone; set `search: "
                             f"adaptive`, or leave judge and values out (search is {self.search!r})")
        if ("values" in self.evidence) != (self.value_model is not None):
            raise ValueError(f"value_model is {self.value_model!r} and evidence {list(self.evidence)}; give a model "
                             "exactly where evidence holds `values`")
        return self


class Judge(Options):
    """A model that reads solutions and says where the first error is. It samples as its generator does."""

    generator: str = Field(description="Name of the generator that judges.")
    prompt: str = Field("critique", description="`critique`, or a Jinja template with problem, answer, steps.")
    votes: int = Field(1, ge=1, le=99, description="Opinions on each solution; more than half of them decide.")
    correct_per_generator: int | None = Field(200, ge=0, description="Correct solutions to judge; null for all.")
    incorrect_per_generator: int | None = Field(0, ge=0, description="Incorrect solutions to judge; null for all.")
    splitter: Splitter = Field("auto", description=SPLITTING)
    max_steps: int | None = Field(32, ge=1, description=MERGING)
    max_tokens: int = Field(512, ge=8, description="Longest critique in tokens; one that is cut off is undecided.")
