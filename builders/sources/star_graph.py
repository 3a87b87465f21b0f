"""Path finding on star graphs: problems in which one step decides, and a policy on them whose every Q is known.

In: a count, a seed, a split, and the graph's dials; problem i is a pure function of those and i. Out: dicts in the
columns of the table `problems` (but for its id). A centre has `degree` arms of `path_length` nodes each (the centre
counted), node-disjoint, with labels out of `nodes`; their edges stand shuffled. The task is the path from the centre
to the end of one arm: every step but the first follows the only edge there is, so a model that has learned just that
is right once in `degree` times (Bachmann and Nagarajan 2024, "The pitfalls of next-token prediction", section 4).

The answer stands in brackets: a list without them may be given in any order, a path may not.

    {"problem": "7,30|12,41|12,7|41,3/12,30=", "answer": "(12,7,30)", "reference_solution": "12,7,30", ...}
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.arithmetic import SPLITS
from stepforge.builders.tables import content_id, derive_seed

VERSION = 2      # raised when any draw changes: it is part of every source_id
TRIES = 10_000   # draws before a split is called empty: in tiny graphs few problems exist, and a split may have none


class Task(NamedTuple):
    """What a problem's text says: the edges, the node to start from, the node to reach."""

    edges: tuple[tuple[int, int], ...]
    start: int
    goal: int

    def path(self) -> list[int]:
        """The one path, found backwards from the goal; raises SourceError where there is none."""
        before = {b: a for a, b in self.edges}
        path = [self.goal]
        while path[-1] != self.start:
            if path[-1] not in before or len(path) > len(self.edges):
                raise SourceError(f"star_graph: no path leads from {self.start} to {self.goal}; "
                                  "use problems from this source")
            path.append(before[path[-1]])
        return path[::-1]

    def text(self) -> str:
        return f"{'|'.join(f'{a},{b}' for a, b in self.edges)}/{self.start},{self.goal}="


def parse(problem: str) -> Task:
    """The task of a problem's text "u,v|u,v|.../start,goal="; raises SourceError for any other text."""
    try:
        edges, ends = problem.removesuffix("=").split("/")
        pairs = [tuple(map(int, edge.split(","))) for edge in [*edges.split("|"), ends]]
        *links, (start, goal) = [(a, b) for a, b in pairs]
    except ValueError:
        raise SourceError(f"star_graph: {problem[:60]!r} is not a problem of this source; "
                          "allowed: 'u,v|u,v|.../start,goal=' with whole numbers") from None
    return Task(tuple(links), start, goal)


def generate(count: int, seed: int, split: str, degree: int = 2, path_length: int = 5, nodes: int = 50,
             offset: int = 0) -> Iterator[dict]:
    """Yields problems `offset` to `offset + count` of one endless, fixed sequence; no graph is in two splits.

    Raises SourceError for values that are not allowed.
    """
    if split not in SPLITS:
        raise SourceError(f"star_graph: split {split!r} is unknown; allowed: {', '.join(SPLITS)}")
    if count < 0 or offset < 0 or degree < 1 or path_length < 2 or nodes < 1 + degree * (path_length - 1):
        raise SourceError(
            f"star_graph: count {count}, offset {offset}, degree {degree}, path_length {path_length}, nodes {nodes}; "
            "allowed: count and offset >= 0, degree >= 1, path_length >= 2, nodes >= 1 + degree * (path_length - 1)")
    for index in range(offset, offset + count):
        yield _make(seed, split, degree, path_length, nodes, index)


def _make(seed: int, split: str, degree: int, path_length: int, nodes: int, index: int) -> dict:
    source_id = (f"star_graph-{VERSION}:seed={seed}:split={split}:degree={degree}:path_length={path_length}"
                 f":nodes={nodes}:index={index}")
    for attempt in range(TRIES):
        task = _draw(random.Random(derive_seed(source_id, attempt)), degree, path_length, nodes)
        group_id = content_id("star_graph", sorted(task.edges), task.start, task.goal)[:16]
        if int(group_id, 16) % 100 in SPLITS[split]:
            break
    else:
        raise SourceError(f"star_graph: nodes is {nodes}, and no graph of that kind falls into {split}; "
                          "allowed: more nodes, so that there are more graphs")
    path = ",".join(map(str, task.path()))
    return {"problem": task.text(), "answer": f"({path})", "reference_solution": path, "source": "star_graph",
            "source_id": source_id, "subject": "path finding", "level": f"{degree}x{path_length}", "split": split,
            "group_id": group_id, "license": "Apache-2.0", "generator": None}


def _draw(rng: random.Random, degree: int, path_length: int, nodes: int) -> Task:
    centre, *labels = rng.sample(range(nodes), 1 + degree * (path_length - 1))
    arms = [[centre, *arm] for arm in zip(*[iter(labels)] * (path_length - 1), strict=True)]
    edges = [edge for arm in arms for edge in itertools.pairwise(arm)]
    rng.shuffle(edges)
    return Task(tuple(edges), centre, arms[0][-1])


@dataclass(frozen=True)
class Follower:
    """Writes a path node by node: at the centre it takes the right arm with probability `first` (None: any arm
    alike), elsewhere the only edge with probability `fidelity`, else some other node; it stops where no edge leads on.

    Every prefix has a Q in closed form: 0 once it has left the path, else the product of what is still to be done.
    """

    fidelity: float = 0.999
    first: float | None = None

    def q(self, problem: str, prefix: str) -> float:
        """Probability that a prefix ("", "12,", "12,7,") and its completion are exactly the path.

        A text that does not end in a comma is finished: 1 or 0.
        """
        task = parse(problem)
        path, written = task.path(), _nodes(prefix)
        if _finished(prefix):
            return float(written == path)
        if written != path[:len(written)] or len(written) == len(path):
            return 0.0
        q = 1.0
        for place in range(len(written), len(path)):
            q *= self._right_arm(task) if place == 1 else self.fidelity
        return q

    def complete(self, problem: str, prefix: str, seed: int) -> str:
        """The rest of the path after a prefix, drawn with a seed; nothing after a finished one."""
        task, rng, written = parse(problem), random.Random(seed), _nodes(prefix)
        places = {node for edge in task.edges for node in edge}
        begun = len(written)
        while not _finished(prefix) and len(written) < len(places):
            ways = [b for a, b in task.edges if written and a == written[-1]] if written else [task.start]
            if not ways:
                break
            right = rng.random() < (self._right_arm(task) if len(written) == 1 else self.fidelity)
            best = task.path()[1] if len(written) == 1 and written == [task.start] else ways[0]
            others = [w for w in ways if w != best] if len(ways) > 1 else sorted(places - {best})
            written.append(best if right or not others else rng.choice(others))
        return ",".join(map(str, written[begun:]))

    def _right_arm(self, task: Task) -> float:
        degree = sum(a == task.start for a, _ in task.edges)
        return 1 / degree if self.first is None else self.first


def _finished(prefix: str) -> bool:
    return prefix != "" and not prefix.endswith(",")


def _nodes(prefix: str) -> list[int]:
    try:
        return [int(node) for node in prefix.rstrip(",").split(",")] if prefix else []
    except ValueError:
        raise SourceError(f"star_graph: {prefix[:60]!r} is not the beginning of a path; "
                          "allowed: whole numbers with commas between them") from None
