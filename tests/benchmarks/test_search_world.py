"""The closed-form values that the search benchmark compares with are the success rates of simulated rollouts."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


WORLD = load("_world")
WORDINGS = load("_wordings")
PASSING = load("_passing")


@pytest.mark.parametrize("name", WORLD.WORLDS)
def test_exact_q_is_the_rate_of_right_ends(name: str) -> None:
    """4,000 walks from each of 12 points; with other seeds one would be 4.5 errors off once in 12,000 times."""
    world, rng, n = WORLD.WORLDS[name], np.random.default_rng(0), 4000
    q = world.q()
    for t in {0, 3, 8, 12} & set(range(len(world.ends))):
        for state in (0, 1, len(world.right) - 1):
            _, _, right = world.walk(world.policy, np.full(n, state), np.full(n, t), rng)
            assert abs(right.mean() - q[t, state]) < 4.5 * np.sqrt(q[t, state] * (1 - q[t, state]) / n) + 1e-12


def test_q_is_a_martingale_under_the_policy_and_not_under_another_writer() -> None:
    for name, drift in (("martingale", False), ("other_writer", True)):
        world = WORLD.WORLDS[name]
        q = world.q()
        t = 2
        expected = world.writer @ (world.ends[t] * world.right + (1 - world.ends[t]) * q[t + 1])
        assert bool(np.abs(expected - q[t]).max() > 0.02) is drift


def test_recorded_rollouts_agree_with_the_exact_q_of_their_step() -> None:
    """About 500 steps x 128 rollouts; the mean of all is 5 standard errors off once in two million times."""
    problems = WORLD.draw(WORLD.WORLDS["other_writer"], 10, 8, seed=0)
    won = np.concatenate([rows[1:] for p in problems for rows in p.outcomes])
    q = np.concatenate([values[1:-1] for p in problems for values in p.q])
    assert won.shape == (len(q), WORLD.ROLLOUTS)
    assert abs(won.mean() - q.mean()) < 5 * np.sqrt((q * (1 - q)).sum() / WORLD.ROLLOUTS) / len(q)
    assert all(values[-1] == 0 for p in problems for values in p.q)


@pytest.mark.parametrize("name", ["hard", "easy", "martingale"])
def test_no_problem_starts_in_the_pit(name: str) -> None:
    """Else its first step is the pit by definition, and a search has nothing to find."""
    problems = WORLD.draw(WORLD.WORLDS[name], 10, 8, seed=0, base_rate={"hard": 0.05, "easy": 0.9}.get(name))
    pits = [WORLD.exact_pit(q, problem.eps) for problem in problems for q in problem.q]
    assert 0.2 < sum(pit > 0 for pit in pits) / len(pits)
    assert all(q[0] > problem.eps for problem in problems for q in problem.q)


def test_wordings_have_the_values_that_their_rollouts_show_around_that_of_their_computation() -> None:
    """About 300 steps x 128 rollouts; the mean of all is 5 standard errors off once in two million times."""
    for spread in (0.0, 0.15):
        problems = WORDINGS.draw_wordings(WORLD.WORLDS["martingale"], 10, 8, 0, spread)
        q = np.concatenate([values[1:-1] for p in problems for values in p.q])
        won = np.concatenate([rows[1:] for p in problems for rows in p.outcomes])
        assert abs(won.mean() - q.mean()) < 5 * np.sqrt((q * (1 - q)).sum() / WORLD.ROLLOUTS) / len(q)
        assert 0.2 < WORDINGS.repeated(problems) < 0.4
        odds: dict[tuple[int, str], list[float]] = {}
        for at, problem in enumerate(problems):
            for solution, values in zip(problem.solutions, problem.q, strict=True):
                for name, value in zip(solution.computations[:-1], values[1:-1], strict=True):
                    odds.setdefault((at, name), []).append(float(np.log(value / (1 - value))))
        apart = np.concatenate([np.array(each) - each[0] for each in odds.values()])
        assert apart.std() == 0 if spread == 0 else 0.2 < apart.std() < 0.8


def test_rollouts_that_pass_a_prefix_end_right_at_the_rate_of_those_that_begin_there() -> None:
    """About 500 prefixes x 128 rollouts, a quarter of them passing; each sum is 5 standard errors off once in two
    million times."""
    problems = PASSING.draw_passing(WORLD.WORLDS["other_writer"], 10, 8, 0, (0.6, 0.9))
    begun, passed = [], []
    for problem in problems:
        exact = {"".join(solution.steps[:i]): (float(q[i]), PASSING.Ask(solution.solution_id, i - 1, 0))
                 for solution, q in zip(problem.solutions, problem.q, strict=True) for i in range(len(q) - 1)}
        for q, first in exact.values():
            for index in range(WORLD.ROLLOUTS):
                ask = replace(first, index=index)
                right = problem.rollout(ask)[0] == "success"
                begun.append((right, q))
                passed += [(right, exact[text][0]) for text in problem.passes(ask)[:1] if text in exact]
    assert 0.1 < len(passed) / len(begun) < 0.35
    for seen in (begun, passed):
        right, expected = np.array(seen, float).T
        assert abs((right - expected).sum()) < 5 * np.sqrt((expected * (1 - expected)).sum())
