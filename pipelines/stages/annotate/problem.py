"""One problem while the steps of its solutions are valued: from a row of annotate.sql to rows of three tables.

In: a problem with its solutions, the policy, and the engine as a function. Out: rows of `steps`, `rollouts` and
`alternatives`. The search says which rollouts to make; what was made before a search ended stays in the tables.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from stepforge.builders.tables import content_id
from stepforge.pipelines.answers import equation_key, first_false_step
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.advantages import StepValue, q_fixed, q_interval
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.pits import certain_fall, doubters
from stepforge.pipelines.credit.rollouts import Policy, Rolled, Start, outcome_of
from stepforge.pipelines.credit.search import Ask, Search, SearchSettings, Solution, make_search
from stepforge.pipelines.credit.tokens import prefix_ids
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.inference.runner import Completion, Generate, Request
from stepforge.pipelines.options.generators import BatchGenerator
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.stages.annotate.evidence import first_errors

CHARACTERS = 3  # of a token, about: mathematics has short ones
BATCH = 64  # rollouts that a problem's search may ask for at once
ADAPTIVE_BATCH = 8  # the same of the adaptive search, which needs a third more tokens with 64


class Problem:
    """One problem while its solutions are valued."""

    def __init__(self, row: dict[str, Any], policy: Policy, settings: Annotate, generate: Generate) -> None:
        self.row = row
        self.policy = policy
        self.settings = settings
        self.prompt = render(policy.generator.prompt, row["problem"], policy.generator.model)
        self.splitters = {s["solution_id"]: splitting.chosen(settings.splitter, s["solution"], settings.max_steps)
                          for s in row["solutions"]}
        self.texts = {s["solution_id"]: splitting.split(self.splitters[s["solution_id"]], s["solution"],
                                                        max_steps=settings.max_steps) for s in row["solutions"]}
        shares = settings.search == "adaptive" and settings.share == "computations"
        self.solutions = [
            Solution(s["solution_id"], tuple(steps), s["correct"],
                     first_errors=first_errors(s, self.prompt, steps, settings), prompt_tokens=len(self.prompt),
                     computations=computations(steps) if shares else None)
            for s in row["solutions"] for steps in [self.texts[s["solution_id"]]]]
        self.ids = {prefix: tuple(ids) for s in row["solutions"] if s["completion_ids"] for prefix, ids in prefix_ids(
            policy.tokens, self.prompt, s["solution"], s["completion_ids"],
            accumulate(map(len, self.texts[s["solution_id"]]), initial=0)).items()}
        self.rollouts: list[dict[str, Any]] = []
        self._generate, self._waits = generate, False

    async def search(self, chain: Chain | None = None, no_model_fits: bool = False) -> Search:
        """Let the search ask for rollouts until it is done.

        `chain`: the model fitted on the pilot. A problem of the pilot first repeats its search without the model, from
        the journal, and then continues with it, so no rollout is paid for twice and all of them count. If no model
        fits, steps are scanned instead.
        """
        options = SearchSettings(
            rollouts=self.settings.rollouts, best_of=self.settings.best_of, pit=self.settings.pit,
            eps=self.settings.pit_tolerance, token_budget=self.settings.token_budget,
            typical_length=self.row["typical_length"], read_cost=self.policy.generator.read_cost,
            passing=self.settings.passing)
        strategy = "scan" if no_model_fits and not self.row["pilot"] else self.settings.search
        search = make_search(strategy, self.solutions, options, self.row["base_successes"],
                             self.row["base_rollouts"], None if self.row["pilot"] else chain)
        await self._drive(search)
        if isinstance(search, Adaptive) and chain is not None and self.row["pilot"]:
            search.learn(chain)
            await self._drive(search)
        if isinstance(search, Adaptive) and no_model_fits:
            search = make_search("scan", self.solutions, options).take_over(search)
            await self._drive(search)
        if not isinstance(search, Adaptive):        # whose model weighs later rollouts itself
            await self._settle(search)
        return search

    async def _roll_out(self, starts: Sequence[Start]) -> list[Rolled]:
        """Rollouts. Once some wait for their batch nothing more is asked: what to ask depends on them."""
        generate = _ask_later if self._waits else self._generate
        rolled = await self.policy.roll_out(generate, self.row["problem_id"], self.prompt, self.row["answer"], starts,
                                            self.ids if self.settings.passing else None)
        self._waits |= isinstance(self.policy.generator, BatchGenerator) and any(
            row["finish_reason"] == "error" for row, _ in rolled)
        return rolled

    async def _drive(self, search: Search) -> None:
        while batch := search.next_batch(ADAPTIVE_BATCH if isinstance(search, Adaptive) else BATCH):
            await self._make(search, batch)

    async def _make(self, search: Search, asks: list[Ask]) -> None:
        rolled = await self._roll_out([self._start(ask) for ask in asks])
        for ask, (row, passed) in zip(asks, rolled, strict=True):
            row["passed"] = search.observe(ask, outcome_of(row), _tokens(row), len(row["completion"]), passed)
            self.rollouts.append(row)

    async def _settle(self, search: Search) -> None:
        """More rollouts where later ones tell against a pit: at the pit and at the steps that tell against it."""
        nodes = [node for solution_id, values in search.values().items() for at in _named(values)
                 for node in doubters(search.tree.paths[solution_id], at + 1, self.settings.pit_fall,
                                      best_of=self.settings.best_of)]
        await self._make(search, search.revisit(nodes))

    def _start(self, ask: Ask) -> Start:
        solution_id = None if ask.step_index < 0 else ask.solution_id
        prefix = self.prefix(ask.solution_id, ask.step_index)
        return Start(prefix, solution_id, ask.step_index, ask.index, ids=self.ids.get(prefix),
                     max_tokens=self._max_tokens(prefix))

    def _max_tokens(self, prefix: str) -> int | None:
        """What a rollout may write so that rollouts and those that pass end at one length: of the whole solution."""
        if not self.settings.passing or prefix not in self.ids or not prefix:
            return None
        return self.policy.generator.max_tokens - (len(self.ids[prefix]) - len(self.ids[""]))

    def prefix(self, solution_id: str, step_index: int) -> str:
        """The solution's text up to and with a step."""
        return "".join(self.texts[solution_id][: step_index + 1])

    def step_rows(self, search: Search) -> list[dict[str, Any]]:
        rows = []
        for solution_id, values in search.values().items():
            start, falls = 0, {at: self._fall(search, solution_id, at, values[at]) for at in _named(values)}
            for index, (step, value) in enumerate(zip(self.texts[solution_id], values, strict=True)):
                low = falls.get(index)
                rows.append({"solution_id": solution_id, "problem_id": self.row["problem_id"], "step_index": index,
                             "step": step, "start": start, "end": start + len(step),
                             "splitter": self.splitters[solution_id], **value._asdict(),
                             "is_pit": low is not None and low > self.settings.pit_fall, "fall_low": low})
                start += len(step)
        return rows

    def _fall(self, search: Search, solution_id: str, at: int, value: StepValue) -> float:
        """How far q falls at a step for certain, by its counts or, where that says more, by the search's model."""
        counted = certain_fall(search.tree.paths[solution_id], at + 1, best_of=self.settings.best_of)
        return counted if value.advantage_model_high is None else max(counted, -value.advantage_model_high)

    async def alternatives(self, search: Search, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Candidates for every pit, each valued by rollouts of its own."""
        alternatives = [candidate for step in steps if step["is_pit"] for candidate in self._candidates(search, step)]
        # Solutions may share a candidate: each start once, else two requests under way at once would both be paid for.
        starts = {(prefix, index): Start(prefix, row["solution_id"], row["step_index"], index, "alternative",
                                         self.ids.get(prefix), self._max_tokens(prefix))
                  for row in alternatives if not row["complete"] for prefix in [self._with_candidate(row)]
                  for index in range(self.settings.rollouts)}
        rows = [row for row, _ in await self._roll_out(list(starts.values()))]
        counts: dict[str, list[bool]] = {}
        made = {row["rollout_id"] for row in self.rollouts}     # a candidate may be a step of another solution
        self.rollouts += [row for row in rows if row["rollout_id"] not in made]
        for (prefix, _), row in zip(starts, rows, strict=True):
            if (outcome := outcome_of(row)) != "excluded":
                counts.setdefault(prefix, []).append(outcome == "success")
        for row in alternatives:
            outcomes = counts.get(self._with_candidate(row), [])
            row |= {"rollouts": len(outcomes), "successes": sum(outcomes)} | _value(row["complete"], outcomes)
        return alternatives

    def _with_candidate(self, row: dict[str, Any]) -> str:
        return self.prefix(row["solution_id"], row["step_index"] - 1) + row["step"]

    def _candidates(self, search: Search, pit: dict[str, Any]) -> list[dict[str, Any]]:
        """Different first steps of correct continuations of the prefix before a pit, in the order they were made."""
        solution_id, index = pit["solution_id"], pit["step_index"]
        owner, owner_index = search.canonical(solution_id, index - 1)
        continuations = [(row["rollout_id"], row["completion"]) for row in self.rollouts
                         if row["step_index"] == owner_index and row["solution_id"] == (owner if index else None)
                         and row["origin"] == "prefix" and row["verdict"] == "correct"]
        if index == 0:
            continuations += [(s["solution_id"], s["solution"]) for s in self.row["solutions"] if s["correct"]]
        opened = [(source, splitting.split(self.splitters[solution_id], text)) for source, text in continuations]
        others = other_steps(self.texts[solution_id][index:], opened)[: self.settings.alternatives_per_pit]
        return [{"alternative_id": content_id("alternative", solution_id, index, step),
                 "problem_id": self.row["problem_id"], "solution_id": solution_id, "step_index": index, "step": step,
                 "complete": not rest, "taken_from": source, "sound": first_false_step([step]) is None}
                for source, (step, *rest) in others]


async def _ask_later(request: Request) -> list[Completion]:
    return [Completion("", "error", None, None, None, error="rollouts before it wait for their batch")]


def _tokens(row: dict[str, Any]) -> int:
    """Tokens of a rollout; where the server did not say, about as many as its text has."""
    known: int | None = row["completion_tokens"]
    return len(row["completion"]) // CHARACTERS if known is None else known


def _named(values: Sequence[StepValue]) -> list[int]:
    """The step that the pit rule names, if any."""
    return [index for index, value in enumerate(values) if value.is_pit]


def other_steps(lost: Sequence[str], opened: Iterable[tuple[str, Sequence[str]]]) -> list[tuple[str, Sequence[str]]]:
    """Of continuations of one prefix, as (id, steps), the first of each kind that does not begin as `lost` does.

    Steps are of one kind where they do the same computations, or without any say the same, and both or neither end
    the solution: of two wordings of one thought, rollouts tell by chance alone which is the better one.
    """
    kinds, others = {_kind(lost)}, []
    for source, steps in opened:
        if steps and _kind(steps) not in kinds:
            kinds.add(_kind(steps))
            others.append((source, steps))
    return others


def _kind(steps: Sequence[str]) -> tuple[str, bool]:
    return equation_key(steps[0]), len(steps) == 1


def computations(steps: Sequence[str]) -> tuple[str, ...]:
    """Of each step, what the solution computes up to there; its text where it computes nothing yet."""
    return tuple(equation_key(prefix) for prefix in accumulate(steps))


def _value(complete: bool, outcomes: list[bool]) -> dict[str, float | None]:
    """Q of a candidate: 1 where it ends a solution that was verified, else from its own fixed number of rollouts."""
    if complete:
        return {"q": 1.0, "q_low": 1.0, "q_high": 1.0}
    if not outcomes:
        return {"q": None, "q_low": None, "q_high": None}
    low, high = q_interval(sum(outcomes), len(outcomes), "fixed_n")
    return {"q": q_fixed(sum(outcomes), len(outcomes)), "q_low": low, "q_high": high}
