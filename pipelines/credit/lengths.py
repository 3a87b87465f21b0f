"""How long a rollout gets: what the pilot's rollouts teach the search about their price.

In: for steps with rollouts, how long these were, how much the solution itself wrote after the step, and how much it
had written up to there. Out: the expected length of a rollout after any step. Without a pilot a rollout is expected to
be as long as the rest of its solution; but a step before the end of a short solution is no cheaper than the same step
of a long one, as far as rollouts show, and a search that believes it spends too much there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stepforge.pipelines.credit.evidence import Array

UNFITTED = (0.0, 1.0, 0.0)
WEIGHT = 20.0     # rollouts that the unfitted expectation counts for
LEAST = 0.05      # of a typical solution: the shortest expectation


class Seen(NamedTuple):
    """Rollouts after one step; lengths in the units of the solutions' costs."""

    rest: float          # what the solution itself wrote after the step
    before: float        # and up to it
    rollouts: int
    written: float       # by all of these rollouts together


def fit(seen: Sequence[Seen], typical: float) -> Array:
    """[3] weights of a typical solution's length, of `rest` and of `before`, by least squares with a prior."""
    features = np.array([(1.0, each.rest / typical, each.before / typical) for each in seen]).reshape(-1, 3)
    rollouts = np.array([each.rollouts for each in seen], float)
    written = np.array([each.written / typical for each in seen])
    left = (features * rollouts[:, None]).T @ features + WEIGHT * np.eye(3)
    return np.linalg.solve(left, features.T @ written + WEIGHT * np.array(UNFITTED))


def expected_length(weights: Array, rest: Array, before: Array, typical: float) -> Array:
    """The expected length of a rollout after each step."""
    return np.asarray(np.maximum(weights[0] * typical + weights[1] * rest + weights[2] * before, LEAST * typical))
