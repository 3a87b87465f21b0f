"""The tables of a small real run hold together."""

import math
from collections import Counter, defaultdict
from itertools import combinations

import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.builders.outcomes import UNANSWERED
from stepforge.builders.parquet import read_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.answers import equation_key
from stepforge.pipelines.plan import read_state
from stepforge.pipelines.stages.annotate.problem import other_steps


@pytest.fixture(scope="module")
def tables(small_run):
    empty = ("drafts", "rulings", "budgets", "contamination", "evaluations")
    return {name: rows(small_run, name) for name in TABLES if name not in ("drops", *empty)}


def test_every_stage_accounts_for_its_rows(small_run):
    state = read_state(small_run)
    assert state["problems"]["rows_out"] == 12 and state["generate"]["rows_out"] == 72
    assert all(a["rows_in"] == a["rows_out"] + sum(a["dropped"].values()) for a in state.values())


def test_keys_are_unique(tables):
    for name, table in tables.items():
        keys = Counter(tuple(row[column] for column in TABLES[name].key) for row in table)
        assert table and max(keys.values()) == 1, name


def test_every_solution_has_a_verdict_and_samples_differ_in_seed(tables):
    assert {row["solution_id"] for row in tables["solutions"]} == {row["solution_id"] for row in tables["verdicts"]}
    assert len({row["seed"] for row in tables["solutions"]}) == 72


def test_the_model_is_fallible(tables):
    verdicts = Counter(row["verdict"] for row in tables["verdicts"])
    assert verdicts["correct"] >= 10 and verdicts["incorrect"] >= 10


def test_steps_joined_give_back_the_solution(tables):
    text = {row["solution_id"]: row["solution"] for row in tables["solutions"]}
    steps = defaultdict(list)
    for row in tables["steps"]:
        steps[row["solution_id"]].append(row)
    for solution_id, own_steps in steps.items():
        assert "".join(row["step"] for row in own_steps) == text[solution_id]
        assert all(text[solution_id][row["start"]:row["end"]] == row["step"] for row in own_steps)


def test_values_are_counts_of_rollouts_and_the_last_is_the_verdict(tables):
    verdict = {row["solution_id"]: row["verdict"] for row in tables["verdicts"]}
    last = {}
    for row in tables["steps"]:
        last[row["solution_id"]] = row
        if row["rollouts"]:
            assert row["q"] == row["successes"] / row["rollouts"] and row["q_low"] <= row["q"] <= row["q_high"]
            assert row["rollouts"] == SMALL["annotate"]["rollouts"]
    for solution_id, row in last.items():
        assert (row["q"], row["rollouts"]) == (float(verdict[solution_id] == "correct"), 0)


def test_pits_are_the_certain_falls_of_incorrect_solutions(tables):
    verdict = {row["solution_id"]: row["verdict"] for row in tables["verdicts"]}
    named = Counter({row["solution_id"]: 0 for row in tables["steps"]})
    named.update(row["solution_id"] for row in tables["steps"] if row["fall_low"] is not None)
    assert all(count == (verdict[solution_id] == "incorrect") for solution_id, count in named.items())
    assert all(row["is_pit"] == ((row["fall_low"] or 0) > 0.05) for row in tables["steps"])
    assert 0 < sum(row["is_pit"] for row in tables["steps"]) < named.total()


def test_rollouts_at_a_prefix_differ_in_seed(tables):
    seeds = [row["seed"] for row in tables["rollouts"]]
    assert len(set(seeds)) == len(seeds)


def test_prefixes_of_the_policys_own_solutions_are_continued_token_by_token(tables):
    assert all(row["token_exact"] for row in tables["rollouts"] if row["origin"] == "prefix")


def test_a_pit_loses_what_was_there_and_alternatives_win_it_back(tables):
    """A better step is worth more than the pit in most cases; else the search finds noise."""
    pit = {row["solution_id"]: row for row in tables["steps"] if row["is_pit"]}
    gains = [row["q"] - pit[row["solution_id"]]["q"] for row in tables["alternatives"] if row["q"] is not None]
    assert gains and sum(gain > 0 for gain in gains) > 0.6 * len(gains)


def test_an_alternative_computes_something_else_than_the_pit(tables):
    pit = {row["solution_id"]: row for row in tables["steps"] if row["is_pit"]}
    kinds = Counter((row["solution_id"], equation_key(row["step"]), row["complete"]) for row in tables["alternatives"])
    last = Counter(row["solution_id"] for row in tables["steps"])
    lost = {(name, equation_key(row["step"]), row["step_index"] == last[name] - 1) for name, row in pit.items()}
    assert max(kinds.values()) == 1 and not lost & kinds.keys()


@pytest.mark.parametrize(("opened", "kept"), [
    ([("a", ["3 + 4 = 7 eggs.\n", "So 7."])], []),                                  # the pit in other words
    ([("a", ["3 + 4 = 7, so 7."])], ["a"]),                      # the pit begins with the same computation
    ([("a", ["3 + 5 = 8.\n", "8"]), ("b", ["It is 3+5=8 then.\n", "8"])], ["a"]),  # one computation in two wordings
    ([("a", ["Count them.\n", "8"]), ("b", ["count  them.\n", "9"])], ["a"]),
    ([("a", [])], []),
])
def test_wordings_of_one_step_are_no_alternatives(opened, kept):
    assert [source for source, _ in other_steps(["That makes 3 + 4 = 7.\n", "So 7."], opened)] == kept


def brute_force_coverage(counts, k):
    """Mean over problems of the share of k-subsets of the samples that hold a correct one."""
    shares = []
    for n, c in counts:
        subsets = list(combinations([True] * c + [False] * (n - c), k))
        shares.append(sum(any(subset) for subset in subsets) / len(subsets))
    return sum(shares) / len(shares)


def test_coverage_equals_enumeration_of_all_subsets(tables):
    problem = {row["solution_id"]: row["problem_id"] for row in tables["solutions"]}
    n, c = Counter(), Counter()
    for row in tables["verdicts"]:
        if row["verdict"] != "undecided" or row["reason"] in UNANSWERED:
            n[problem[row["solution_id"]]] += 1
            c[problem[row["solution_id"]]] += row["verdict"] == "correct"
    measured = {row["k"]: row for row in tables["measures"] if (row["measure"], row["by"]) == ("coverage", "all")}
    assert set(measured) == {1, 2, 3, 4, 6}
    for k, row in measured.items():
        counts = [(n[p], c[p]) for p in n if n[p] >= k]
        assert math.isclose(row["value"], brute_force_coverage(counts, k), abs_tol=1e-9)
        assert row["n"] + row["excluded"] == 12 and row["low"] <= row["value"] <= row["high"]


def test_diversity_equals_enumeration_of_all_subsets(tables):
    problem = {row["solution_id"]: row["problem_id"] for row in tables["solutions"]}
    text = {row["solution_id"]: " ".join(row["solution"].split()) for row in tables["solutions"]}
    samples = defaultdict(list)
    for row in tables["verdicts"]:
        if row["verdict"] != "undecided" or row["reason"] in UNANSWERED:
            samples[problem[row["solution_id"]]].append(
                (row["verdict"] == "correct", text[row["solution_id"]], row["equation_key"]))
    for measure, part in (("diversity_text", 1), ("diversity_equations", 2)):
        measured = {row["k"]: row["value"] for row in tables["measures"]
                    if (row["measure"], row["by"]) == (measure, "all")}
        means = []
        for classes in samples.values():
            subsets = list(combinations(classes, 2))
            means.append(sum(len({s[part] for s in subset if s[0]}) for subset in subsets) / len(subsets))
        assert math.isclose(measured[2], sum(means) / len(means), abs_tol=1e-9)


@pytest.mark.parametrize("writers", [[{"name": "tiny", "engine": "embedded", "samples": 2, "max_tokens": 32}], []])
def test_a_model_that_writes_no_solutions_is_not_started(tmp_path, monkeypatch, writers):
    monkeypatch.setenv("STEPFORGE_VLLM_PYTHON", str(tmp_path / "absent"))
    judge = {"name": "judge", "engine": "vllm", "model": "tiny", "samples": 0}
    execute({"name": "small", "problems": [{"source": "arithmetic", "limit": 3}], "generators": [*writers, judge],
             "executor": {"tasks": 2, "workers": 1}}, tmp_path)
    assert len(rows(tmp_path, "solutions")) == 3 * 2 * len(writers)
    assert not (tmp_path / "logs" / "servers").exists()


def test_rows_of_every_config_stand_in_the_order_of_the_problems(small_run, tables):
    places = {row["problem_id"]: place for place, row in enumerate(tables["problems"])}
    shards = list((small_run / "release").glob("*/*.parquet"))
    for shard in shards:
        order = [places[row["problem_id"]] for row in read_rows(shard) if "problem_id" in row]
        assert order == sorted(order), shard
    assert len(shards) > 9
