"""Which solutions are duplicates, which one stays, and that every removal names a survivor that is left."""

import json
import random
from itertools import combinations

import duckdb
import pyarrow.parquet as pq
import pytest
from helpers.runs import execute, rows

from stepforge.builders.sql import load_sql, open_duckdb
from stepforge.builders.tables import content_id
from stepforge.pipelines import stages
from stepforge.pipelines.stages.deduplicate import add_near, find_duplicates

WORDS = "first he takes two of the pears and then adds three more so that five are left in all".split()
COLUMNS = ("solution_id", "problem_id", "position", "complete", "correct", "characters", "text_key", "equation_key",
           "solution")


def sample(number, text, equations=0, complete=True, correct=True, problem="p"):
    key = int(content_id(text)[:10], 16)
    return (f"s{number}", problem, number, complete, correct, len(text), key, equations or key, text)


@pytest.fixture
def removed(tmp_path):
    """Removals of a list of samples under a rule: (solution, survivor, reason)."""

    def run(samples, **rule):
        rule = {"by": "text", "keep": "first", "near": None, "ngram": 3} | rule
        with duckdb.connect() as connection:
            kinds = ("VARCHAR", "VARCHAR", "BIGINT", "BOOLEAN", "BOOLEAN", "BIGINT", "UBIGINT", "UBIGINT", "VARCHAR")
            columns = ", ".join(map(" ".join, zip(COLUMNS, kinds, strict=True)))
            connection.execute(f"CREATE TABLE everything ({columns})")
            connection.executemany("INSERT INTO everything VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", samples)
            connection.execute("CREATE VIEW sample AS SELECT * EXCLUDE (solution) FROM everything")
            connection.execute("CREATE VIEW solutions AS "
                               "SELECT solution_id, problem_id, complete, solution FROM everything")
            exact, both = tmp_path / "exact.parquet", tmp_path / "both.parquet"
            find_duplicates(connection, {name: rule[name] for name in ("by", "keep")}, exact)
            if rule["near"] is None:
                return rows_of(exact)
            add_near(connection, {name: rule[name] for name in ("keep", "near", "ngram")}, exact, both)
            return rows_of(both)

    return run


def rows_of(path):
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


def test_problems_are_apart_and_the_first_that_ended_stays(removed):
    samples = [sample(0, "a b", complete=False), sample(1, "a b"), sample(2, "a b"), sample(3, "a b", problem="q")]
    assert removed(samples) == [("s0", "s1", "text"), ("s2", "s1", "text")]


@pytest.mark.parametrize(("keep", "stays"), [("first", "s0"), ("shortest", "s2"), ("longest", "s1")])
def test_preference_decides_among_equal_computations(removed, keep, stays):
    samples = [sample(0, "we add: 5", 7), sample(1, "we add the two: 5", 7), sample(2, "5", 7)]
    duplicates = removed(samples, by="equations", keep=keep)
    assert {survivor for _, survivor, _ in duplicates} == {stays} and len(duplicates) == 2
    assert {reason for *_, reason in duplicates} == {"equations"}


def test_equations_make_only_correct_solutions_equal(removed):
    samples = [sample(0, "a", 7), sample(1, "b", 7), *(sample(n, f"{n}", 7, correct=False) for n in (2, 3))]
    assert removed(samples, by="equations") == [("s1", "s0", "equations")]


def runs(text, size):
    words = text.split()
    return {tuple(words[at:at + size]) for at in range(max(1, len(words) - size + 1))}


@pytest.mark.parametrize("seed", range(5))
def test_survivors_are_not_near_and_the_removed_are_near_to_theirs(removed, seed):
    """Against the Jaccard index worked out pair by pair."""
    draw, samples = random.Random(seed), []
    for number in range(40):
        words = [draw.choice(WORDS) if draw.random() < 0.06 else word for word in WORDS[draw.randint(0, 3):]]
        samples.append(sample(number, " ".join(words), correct=draw.random() < 0.7, problem=draw.choice("pq")))
    duplicates = {solution: (survivor, reason) for solution, survivor, reason in removed(samples, near=0.6)}
    known = {row[0]: row for row in samples}

    def near(one, other):
        ours, theirs = runs(known[one][8], 3), runs(known[other][8], 3)
        return known[one][1] == known[other][1] and known[one][4] == known[other][4] and (
            len(ours & theirs) / len(ours | theirs) >= 0.6)

    assert "near" in {reason for _, reason in duplicates.values()}
    for solution, (survivor, reason) in duplicates.items():
        assert survivor not in duplicates
        assert reason != "near" or (near(solution, survivor) and known[survivor][2] < known[solution][2])
    assert not any(near(one, other) for one, other in combinations(known.keys() - duplicates.keys(), 2))


def test_survivor_of_an_exact_duplicate_is_one_that_is_left(removed):
    text = " ".join(WORDS)
    samples = [sample(0, text), sample(1, text + " today"), sample(2, text + " today")]
    assert removed(samples, near=0.8) == [("s1", "s0", "near"), ("s2", "s0", "text")]


def test_text_shorter_than_a_run_is_near_to_its_like_alone(removed):
    samples = [sample(0, "five"), sample(1, "Five"), sample(2, "six")]
    assert removed(samples, near=0.5) == [("s1", "s0", "near")]


@pytest.mark.parametrize(("keep", "stays"), [("first", "s1"), ("shortest", "s2"), ("longest", "s3")])
def test_of_near_duplicates_one_that_ended_stays_and_then_what_is_preferred(removed, keep, stays):
    text = " ".join(WORDS)
    samples = [sample(0, " ".join(WORDS[:-1]), complete=False), sample(1, f"{text} now"), sample(2, text),
               sample(3, f"{text} after all")]
    duplicates = removed(samples, near=0.6, keep=keep)
    assert {survivor for _, survivor, _ in duplicates} == {stays} and len(duplicates) == 3


@pytest.mark.parametrize("tasks", [1, 3])
def test_ranks_find_together_what_one_process_finds(tasks, tmp_path):
    draw = random.Random(0)
    made = [{"problem": f"What is {i} + 1?", "answer": str(i + 1), "made": [
        " ".join(draw.choice(WORDS) if draw.random() < 0.04 else word for word in WORDS) + f"\nThe answer is {i + 1}"
        for _ in range(8)]} for i in range(12)]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, made)))
    paths, near = [str(tmp_path / "p.jsonl")], {"near": 0.6, "ngram": 3}
    execute({"name": "near", "problems": [{"source": "files", "paths": paths}], "deduplicate": near,
             "generators": [{"name": "m", "engine": "recorded", "paths": paths, "columns": {"solutions": "made"}}],
             "executor": {"tasks": tasks, "workers": 1}}, tmp_path / "run")
    tables = {name: tmp_path / f"run/tables/{name}.parquet" for name in ("solutions", "verdicts")}
    with open_duckdb("1GiB", tmp_path / "spill", tables) as connection:
        connection.execute(load_sql(stages.__name__, "samples"))
        find_duplicates(connection, {"by": "text", "keep": "first"}, tmp_path / "exact.parquet")
        add_near(connection, near | {"keep": "first"}, tmp_path / "exact.parquet", tmp_path / "both.parquet")
    duplicates = rows(tmp_path / "run", "duplicates")
    assert duplicates == pq.read_table(tmp_path / "both.parquet").to_pylist()
    assert {row["reason"] for row in duplicates} == {"near", "text"} and 12 < len(duplicates) < 84
