"""Worlds of _world.py in which rollouts pass through longer prefixes of solutions.

After each prefix the policy has one favoured next step: it writes this very text with a probability drawn from a Beta
law, whose moves and end are those of the world; any other text is written once only. A solution that takes favoured
steps shares its prefixes with rollouts and other solutions that do. Out: problems whose solutions are draws of the
world's writer (which takes a favoured step as often as the policy, and moves by its own matrix elsewhere), the exact Q
of each prefix, by recursion over its favoured and its other steps, and with each recorded rollout the prefixes that it
passes. Favoured steps that no solution took have no favoured step behind them.
"""

from dataclasses import dataclass, field

import numpy as np
from _world import BASE, ROLLOUTS, TOKENS, Array, Bools, Ints, Problem, World

from stepforge.pipelines.credit.search import Ask, Solution


@dataclass
class Prefix:
    """A text: its state after `t` steps, and its favoured next step with the probability that the policy writes it."""

    t: int
    state: int
    name: str
    chance: float
    next_state: int
    next_over: bool
    next_right: bool
    child: "Prefix | None" = None     # after the favoured step, once a solution took it
    place: tuple[str, int] = ("", -1)     # solution and step that its rollouts are recorded under

    @classmethod
    def draw(cls, world: World, t: int, state: int, name: str, law: tuple[float, float], rng: np.random.Generator
             ) -> "Prefix":
        after = _move(world.policy, state, rng)
        return cls(t, state, name, float(rng.beta(*law)), after, rng.random() < world.ends[t],
                   rng.random() < world.right[after])

    def q(self, world: World, table: Array) -> float:
        """P(right) of a rollout from here."""
        end = world.ends[self.t]
        others = float(world.policy[self.state] @ (end * world.right + (1 - end) * table[self.t + 1]))
        if self.next_over:
            favoured = float(self.next_right)
        elif self.child is not None:
            favoured = self.child.q(world, table)
        else:
            favoured = float(table[self.t + 1, self.next_state])
        return self.chance * favoured + (1 - self.chance) * others

    def roll_out(self, world: World, n: int, rng: np.random.Generator) -> tuple[Bools, Ints, Ints]:
        """[n] right or not, number of steps at the end, and how many prefixes of solutions were passed."""
        right, steps, passed = np.zeros(n, bool), np.full(n, self.t + 1), np.zeros(n, int)
        favoured = rng.random(n) < self.chance
        _, steps[~favoured], right[~favoured] = _walk(world, self.state, self.t, int((~favoured).sum()), rng)
        if self.next_over:
            right[favoured] = self.next_right
        elif self.child is None:
            _, steps[favoured], right[favoured] = _walk(world, self.next_state, self.t + 1, int(favoured.sum()), rng)
        elif favoured.any():
            right[favoured], steps[favoured], further = self.child.roll_out(world, int(favoured.sum()), rng)
            passed[favoured] = further + 1
        return right, steps, passed


@dataclass
class Passing(Problem):
    """A problem that knows what its rollouts pass."""

    passed: list[Ints] = field(default_factory=list)     # for each solution [steps, ROLLOUTS], row 0 = bare
    chains: dict[tuple[str, int], list[tuple[str, int]]] = field(default_factory=dict)     # favoured prefixes behind

    def passes(self, ask: Ask) -> list[tuple[str, int]]:
        """Solution and step of each prefix that a rollout passes."""
        count = int(self.passed[int(ask.solution_id)][ask.step_index + 1, ask.index])
        return self.chains[ask.solution_id, ask.step_index][:count]


def draw_passing(world: World, problems: int, negatives: int, seed: int, law: tuple[float, float]) -> list[Passing]:
    """Problems start in any live state alike; chances of favoured steps follow Beta(*law)."""
    rng, table = np.random.default_rng(seed), world.q()
    drawn = (_problem(world, table, int(start), negatives, law, rng)
             for start in rng.integers(1, len(world.right), problems))
    return [problem for problem in drawn if problem is not None]


def _problem(world: World, table: Array, start: int, wanted: int, law: tuple[float, float], rng: np.random.Generator
             ) -> Passing | None:
    root, paths, ends = Prefix.draw(world, 0, start, "", law, rng), list[list[Prefix]](), set[str]()
    for number in range(20 * wanted):
        path, end, right = _write(world, root, number, law, rng)
        if not right and end not in ends:
            ends.add(end)
            paths.append(path)
        if len(paths) == wanted:
            break
    if not paths:
        return None
    solutions, places = [], dict[int, tuple[str, int]]()
    for b, path in enumerate(paths):
        for step, prefix in enumerate(path):
            places.setdefault(id(prefix), (str(b), step - 1))
            prefix.place = places[id(prefix)]
        names = [*(f"{prefix.name}\n" for prefix in path[1:]), f"end {b}"]
        solutions.append(Solution(str(b), tuple(names), False, (TOKENS,) * len(names)))
    rolled = {id(prefix): prefix.roll_out(world, ROLLOUTS, rng) for path in paths for prefix in path}
    rows = [[rolled[id(prefix)] for prefix in path] for path in paths]
    chains = {(str(b), step - 1): [] for b, path in enumerate(paths) for step in range(len(path))}
    for b, path in enumerate(paths):
        for step, prefix in enumerate(path):
            behind = prefix.child
            while behind is not None and id(behind) in places:      # others belong to no solution that is studied
                chains[str(b), step - 1].append(behind.place)
                behind = behind.child
    return Passing(
        solutions, [np.array([*(prefix.q(world, table) for prefix in path), 0.0]) for path in paths],
        int(rng.binomial(BASE, root.q(world, table))), [np.array([row[0] for row in each]) for each in rows],
        [np.array([(row[1] - t) * TOKENS for t, row in enumerate(each)]) for each in rows], eps=world.eps,
        passed=[np.array([row[2] for row in each]) for each in rows], chains=chains)


def _write(world: World, root: Prefix, number: int, law: tuple[float, float], rng: np.random.Generator
           ) -> tuple[list[Prefix], str, bool]:
    """A solution of the writer: its prefixes, a name of its end, its verdict. Favoured steps that it takes are kept
    where a solution that is wrong may come to hold them."""
    path, at = [root], root
    while True:
        if rng.random() < at.chance:
            state, over, right, name = at.next_state, at.next_over, at.next_right, f"{at.name}+"
        else:
            state = _move(world.writer, at.state, rng)
            over, right = bool(rng.random() < world.ends[at.t]), bool(rng.random() < world.right[state])
            name = f"{number}.{at.t}"
        favoured = name == f"{at.name}+"
        if over:
            return path, name, right
        if favoured and at.child is not None:
            at = at.child
        else:
            new = Prefix.draw(world, at.t + 1, state, name, law, rng)
            if favoured:
                at.child = new
            at = new
        path.append(at)


def _move(moves: Array, state: int, rng: np.random.Generator) -> int:
    return min(int((rng.random() > moves[state].cumsum()).sum()), len(moves) - 1)


def _walk(world: World, state: int, t: int, n: int, rng: np.random.Generator) -> tuple[Ints, Ints, Bools]:
    return world.walk(world.policy, np.full(n, state), np.full(n, t), rng)
