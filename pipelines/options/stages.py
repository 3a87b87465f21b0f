"""How stages work: new problems, verdicts, deduplication, judging, step values."""

from typing import Any, Literal

from pydantic import Field, model_validator

from stepforge.pipelines.options.base import LEAST_MEMORY_MB, LEAST_TIMEOUT_S, Options, PitRule, Splitter, pattern
from stepforge.pipelines.options.places import PlaceNameOrNone
from stepforge.pipelines.options.sources import Source

SPLITTING = ("How solutions are split into steps; `auto` takes the first of headings, paragraphs, lines and sentences "
             "that gives 3 to `max_steps` steps.")
MERGING = "Largest number of steps per solution; the shortest are merged above it; null for no limit."


class Synthesize(Options):
    """New problems after those of the sources, each with the answer that a stated majority of solutions gives."""

    writer: str = Field(description="Name of the generator that writes problems.")
    solver: str = Field(description="Name of the generator that solves them.")
    per_seed: int = Field(1, ge=1, le=1000, description="Drafts per training problem of the sources.")
    solutions: int = Field(8, ge=2, le=1000, description="Solutions per draft.")
    agreement: float = Field(0.6, gt=0.5, le=1, description="Smallest share of the solutions that must agree on one "
                                                            "answer.")
    prompt: str = Field("similar", description="`similar`, or a Jinja template that uses problem, answer and "
                                               "reference.")
    max_tokens: int = Field(512, ge=8, description="Largest number of tokens per draft; truncated drafts are dropped.")


class Decontaminate(Options):
    """Evaluation sets that no training problem may come from."""

    against: tuple[Source, ...] = Field(min_length=1, description="Evaluation sets, written like the sources under "
                                                                  "`problems`.")
    ngram: int = Field(8, ge=2, le=50, description="Length of the word n-grams that are compared.")
    overlap: float = Field(0.5, gt=0, le=1, description="Smallest share of an evaluation problem's n-grams that "
                                                        "counts as a match.")
    other_numbers: Literal["flag", "drop"] = Field(
        "flag", description="Whether to flag or drop training problems that match an evaluation problem except for "
                            "its numbers."
    )


class Verify(Options):
    verifier: str = Field(
        "math", pattern=pattern(r"^(math|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$", "math or module:function"),
        description="`math`, or `module:function` for your own code; every command that reads the recipe imports it.",
    )
    timeout_s: float = Field(5.0, ge=LEAST_TIMEOUT_S, description="Time limit per comparison, in CPU seconds.")
    memory_mb: int = Field(
        1024, ge=LEAST_MEMORY_MB, description="Memory limit per verifying process, in MiB of address space."
    )
    agreement: float = Field(
        0.6, gt=0.5, le=1, description="Smallest share of samples that must agree on an answer if a problem has no "
                                       "gold answer."
    )
    judge: str | None = Field(
        None, description="Name of a generator that decides undecided answers; null for none."
    )
    votes: int = Field(3, ge=1, le=99, description="Votes of this judge per answer; more than half decide.")
    judge_tokens: int = Field(256, ge=8, description="Largest number of tokens per vote; a truncated vote does not "
                                                     "count.")

    def rules(self) -> dict[str, Any]:
        """What decides a verdict before any judge is asked."""
        return self.model_dump(mode="json", exclude={"judge", "votes", "judge_tokens"})

    def opening(self) -> dict[str, Any]:
        """The arguments of `answers.open_verifier`."""
        return {"name": self.verifier, "timeout_s": self.timeout_s, "memory_mb": self.memory_mb}


class Deduplicate(Options):
    by: Literal["text", "equations"] = Field("text", description="What two solutions of a problem must share to count "
                                                                 "as duplicates.")
    keep: Literal["first", "shortest", "longest"] = Field(
        "first", description="Which duplicate to keep; complete solutions come first."
    )
    near: float | None = Field(
        None, gt=0, le=1, description="Jaccard index of word n-grams from which two solutions are near-duplicates; "
                                      "null to skip."
    )
    ngram: int = Field(5, ge=1, le=50, description="Length of these word n-grams.")
    near_problems: float | None = Field(
        0.6, gt=0, le=1, description="Jaccard index from which two problems, numbers masked, share a group; null to "
                                     "skip."
    )


class Annotate(Options):
    policy: str = Field(description="Name of the generator that continues solutions from their steps.")
    rollouts: int = Field(16, ge=1, le=10_000, description="Rollouts per step.")
    search: Literal["auto", "exhaustive", "scan", "bisect", "adaptive"] = Field(
        "auto", description="How rollouts are distributed over steps. auto: adaptive if at least `pilot` problems can "
        "teach it, else exhaustive."
    )
    evidence: tuple[Literal["equations", "judge", "values"], ...] = Field(
        ("equations",), description="Evidence for the adaptive search in addition to rollouts: false equations, the "
                                    "judge's first errors, scores of `value_model`."
    )
    share: Literal["text", "computations"] = Field(
        "computations", description="What prefixes must have in common to inform each other in the adaptive search's "
                                    "model. computations: the same equations in the same order, in any words, if the "
                                    "pilot shows that such prefixes have similar values."
    )
    passing: bool = Field(
        False, description="Count a rollout also for the longer prefixes that it passes through in the same tokens, "
                           "with engines that tell tokens (embedded, vllm) and searches other than adaptive. The "
                           "policy's `max_tokens` then limits prefix and rollout together."
    )
    value_model: PlaceNameOrNone = Field(
        None, description="Folder or Hub id of the process reward model for the evidence `values`, such as one from "
                          "`train prm`."
    )
    value_revision: str | None = Field(None, description="Branch, tag or commit of the value model on the Hub.")
    value_cut: float = Field(0.5, gt=0, lt=1, description="Score below which the first step counts as wrong for the "
                                                          "value model.")
    pilot: int = Field(32, ge=0, description="Problems from which the adaptive search learns how values change; 0 for "
                                             "none.")
    splitter: Splitter = Field("auto", description=SPLITTING)
    max_steps: int | None = Field(32, ge=1, description=MERGING)
    pit: PitRule = Field("argmin_q", description="Rule that names the first pit.")
    pit_fall: float = Field(
        0.05, ge=-1, lt=1, description="Smallest fall of q at a pit, certain at 95%. Negatives without such a fall "
                                       "have no pit. -1 accepts every step that the rule names, as in the paper."
    )
    pit_tolerance: float = Field(
        0.05, ge=0, lt=1, description="Tolerance of `argmin_q` above the lowest q. The adaptive search needs one "
                                      "above 0: it counts steps at or below it as lost."
    )
    best_of: int = Field(1, ge=1, description="K of the best-of-K policy whose values are reported and used by the "
                                              "pit rule.")
    negatives_per_problem: int = Field(8, ge=0, description="Incorrect solutions to annotate per problem.")
    positives_per_problem: int = Field(2, ge=0, description="Correct solutions to annotate per problem.")
    alternatives_per_pit: int = Field(2, ge=0, description="Candidates per pit for the chosen step of a shared-prefix "
                                                           "pair.")
    token_budget: int | None = Field(None, ge=1, description="Rollout tokens after which no further batch of a "
                                                          "problem's rollouts is sampled; of no effect where a "
                                                          "server does not tell its tokens.")

    def searched_by(self, problems: int) -> "Annotate":
        """These options with the search that so many problems get."""
        enough = 0 < self.pilot <= problems
        return self if self.search != "auto" else self.model_copy(
            update={"search": "adaptive" if enough else "exhaustive"})

    @model_validator(mode="after")
    def _best_of_fits(self) -> "Annotate":
        if self.best_of > self.rollouts:
            raise ValueError(f"best_of must not exceed rollouts, got {self.best_of} and {self.rollouts}")
        if self.search in ("auto", "adaptive") and self.pit != "zero_success" and self.pit_tolerance == 0:
            raise ValueError("pit_tolerance: at 0, the adaptive search can call no value lost; take "
                             "one above 0, such as 0.05, or another `search`")
        if self.search != "adaptive" and {"judge", "values"} & set(self.evidence):
            raise ValueError(f"evidence: {list(self.evidence)} is read by the adaptive search only; set `search: "
                             f"adaptive`, or leave judge and values out (search is {self.search!r})")
        if self.passing and self.search in ("auto", "adaptive"):
            raise ValueError("passing: the adaptive search counts no passing rollouts; set `search` to exhaustive, "
                             f"scan or bisect (search is {self.search!r})")
        if ("values" in self.evidence) != (self.value_model is not None):
            raise ValueError(f"value_model is {self.value_model!r} and evidence {list(self.evidence)}; give a model "
                             "exactly where evidence holds `values`")
        return self


class Judge(Options):
    """A model that reads solutions and says where the first error is. It samples as its generator does."""

    generator: str = Field(description="Name of the generator that judges.")
    prompt: str = Field("critique", description="`critique`, or a Jinja template that uses problem, answer and steps.")
    votes: int = Field(1, ge=1, le=99, description="Votes per solution; more than half decide.")
    correct_per_generator: int | None = Field(200, ge=0, description="Correct solutions to judge per generator; null "
                                                                     "for all.")
    incorrect_per_generator: int | None = Field(0, ge=0, description="Incorrect solutions to judge per generator; "
                                                                     "null for all.")
    annotated: bool = Field(False, description="Judge every annotated solution too; rates leave those out.")
    splitter: Splitter = Field("auto", description=SPLITTING)
    max_steps: int | None = Field(32, ge=1, description=MERGING)
    max_tokens: int = Field(512, ge=8, description="Largest number of tokens per critique; a truncated critique is "
                                                   "undecided.")
