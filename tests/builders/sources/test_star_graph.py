"""Star graphs are what they claim to be, and the follower's closed-form Q is the rate at which it succeeds."""

import itertools
import math

import pytest

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.star_graph import Follower, generate, parse
from stepforge.builders.tables import PROBLEMS, derive_seed
from stepforge.pipelines.answers import verify
from stepforge.pipelines.credit.search import SearchSettings, Solution, make_search
from stepforge.pipelines.credit.split import split


@pytest.mark.parametrize(("degree", "path_length", "nodes"), [(2, 5, 50), (5, 3, 50), (1, 2, 2), (3, 4, 10)])
def test_arms_are_disjoint_and_the_answer_is_the_only_path(degree: int, path_length: int, nodes: int) -> None:
    for row in generate(20, 0, "train", degree, path_length, nodes):
        task = parse(row["problem"])
        path = [int(node) for node in row["reference_solution"].split(",")]
        assert task.path() == path and len(path) == path_length
        assert path[0] == task.start and path[-1] == task.goal
        assert all(edge in task.edges for edge in itertools.pairwise(path))
        assert len(task.edges) == degree * (path_length - 1)
        assert len({b for _, b in task.edges} | {task.start}) == 1 + degree * (path_length - 1) <= nodes
        assert sum(a == task.start for a, _ in task.edges) == degree


def test_rows_have_the_columns_of_the_problems_table() -> None:
    row = next(generate(1, 0, "test"))
    assert {*row} == {*PROBLEMS.schema.names} - {"problem_id", "parent_id", "agreement"}


def test_a_problem_depends_on_its_index_alone_and_splits_share_no_graph() -> None:
    rows = list(generate(60, 3, "train", nodes=9))
    assert list(generate(10, 3, "train", nodes=9, offset=20)) == rows[20:30]
    groups = {name: {row["group_id"] for row in generate(60, 3, name, nodes=9)} for name in ("train", "test")}
    assert not groups["train"] & groups["test"]


def test_nodes_of_the_path_in_another_order_are_not_the_answer() -> None:
    for row in generate(20, 3, "train"):
        start, after, *rest = row["reference_solution"].split(",")
        assert verify(row["answer"], row["reference_solution"]).verdict == "correct"
        assert verify(row["answer"], ",".join([after, start, *rest])).verdict == "incorrect"
        assert verify(row["answer"], ",".join([start, after, *rest[:-1]])).verdict == "incorrect"


def test_bad_dials_and_texts_are_named() -> None:
    with pytest.raises(SourceError, match=r"nodes 8; allowed: .*nodes >= 1 \+ degree"):
        list(generate(1, 0, "train", nodes=8))
    with pytest.raises(SourceError, match="split 'dev' is unknown; allowed: train"):
        list(generate(1, 0, "dev"))
    with pytest.raises(SourceError, match="is not a problem of this source"):
        parse("How many apples?")
    with pytest.raises(SourceError, match="no path leads from 1 to 9"):
        parse("1,2|2,3/1,9=").path()
    with pytest.raises(SourceError, match="no graph of that kind falls into test"):
        list(generate(1, 0, "test", degree=1, path_length=2, nodes=2))


def test_closed_form_q_is_the_rate_of_success() -> None:
    """2,000 completions for 6 prefixes each; with other seeds one would be 4.5 errors off once in 20,000 times."""
    row = next(generate(1, 1, "train", degree=3, path_length=4))
    whole = row["reference_solution"]
    policy, path, n = Follower(fidelity=0.8), whole.split(","), 2000
    wrong = ",".join([path[0], path[2]]) + ","
    for prefix in ["", path[0] + ",", ",".join(path[:2]) + ",", ",".join(path[:3]) + ",", whole, wrong]:
        q = policy.q(row["problem"], prefix)
        hits = sum(prefix + policy.complete(row["problem"], prefix, derive_seed(prefix, i)) == whole
                   for i in range(n))
        assert abs(hits / n - q) <= 4.5 * math.sqrt(q * (1 - q) / n) + 1e-12
    assert policy.q(row["problem"], "") == pytest.approx(0.8 ** 3 / 3)


def test_following_edges_alone_is_right_once_in_degree_times() -> None:
    """400 problems; a rate more than 5 standard errors from 1/2 happens once in a million runs by chance."""
    policy = Follower(fidelity=1.0)
    hits = sum(policy.complete(row["problem"], "", derive_seed(i)) == row["reference_solution"]
               for i, row in enumerate(generate(400, 0, "train")))
    assert abs(hits / 400 - 0.5) < 5 * math.sqrt(0.25 / 400)


@pytest.mark.parametrize("strategy", ["exhaustive", "scan", "bisect", "adaptive"])
def test_the_pit_of_a_near_perfect_follower_is_the_node_after_the_start(strategy: str) -> None:
    """30 problems with 4 samples each; all draws are seeded, so the outcome is fixed."""
    policy, pits = Follower(fidelity=0.999), []
    for row in generate(30, 5, "train"):
        samples = [policy.complete(row["problem"], "", derive_seed("sample", row["source_id"], i)) for i in range(4)]
        correct = [sample == row["reference_solution"] for sample in samples]
        solutions = [Solution(str(i), tuple(split("path", sample)), False)
                     for i, sample in enumerate(samples) if not correct[i]]
        if not solutions:
            continue
        search = make_search(strategy, solutions, SearchSettings(rollouts=16), sum(correct), len(correct))
        while batch := search.next_batch(8):
            for ask in batch:
                prefix = "".join(search.tree.solutions[ask.solution_id].steps[:ask.step_index + 1])
                text = prefix + policy.complete(
                    row["problem"], prefix, derive_seed(row["source_id"], ask.solution_id, ask.step_index, ask.index))
                search.observe(ask, "success" if text == row["reference_solution"] else "failure")
        pits += [[value.is_pit for value in values].index(True) for values in search.values().values()]
    assert len(pits) > 45
    assert sum(pit == 1 for pit in pits) >= 0.95 * len(pits)
