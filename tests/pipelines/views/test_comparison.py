"""Generators at equal cost: the numbers against brute force over every subset, and who solves what alone."""

import json
import shutil
from fractions import Fraction
from itertools import combinations
from math import isclose

import pytest
from helpers.runs import execute, rows

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import write_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines.views.comparison import Side, compare, spending, unique_for_cost
from stepforge.pipelines.views.comparison_tables import comparison_tables

PROBLEMS, WEAK, STRONG = 5, 6, 3


def solutions(problem: int, count: int, right: int) -> list[str]:
    """`right` correct ones, every second with its equation, the fourth with a false one too; the rest is wrong."""
    gold = 3 * problem
    equation = f"{problem} + {2 * problem} = {gold}\n"
    wordings = ["", equation, "", f"{equation}{gold} + 1 = {gold}\n"]
    good = [f"{wordings[i % 4]}The answer is {gold}" for i in range(right)]
    return good + [f"The answer is {gold + 1 + i}" for i in range(count - right)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Weak: 6 samples, right in 0, 1, 2, 3 and 4 of them; strong: 3, right in 2, 2, 2, 0 and 3."""
    folder = tmp_path_factory.mktemp("comparison")
    lines = [{"problem": f"What is {p} + {2 * p}?", "answer": str(3 * p), "level": str(p % 2),
              "weak": solutions(p, WEAK, p - 1), "strong": solutions(p, STRONG, (2, 2, 2, 0, 3)[p - 1])}
             for p in range(1, PROBLEMS + 1)]
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    paths = [str(folder / "p.jsonl")]
    columns = {"problem": "problem", "answer": "answer", "level": "level"}
    execute({"name": "two", "problems": [{"source": "files", "paths": paths, "columns": columns}],
             "generators": [{"name": name, "engine": "recorded", "paths": paths, "columns": {"solutions": name}}
                            for name in ("weak", "strong")],
             "executor": {"tasks": 1, "workers": 1}}, folder / "run")
    return folder / "run"


def brute_force(run, generator: str, k: int, measure: str) -> float:
    """The mean over problems of the mean over all k-subsets of its samples."""
    verdicts = {row["solution_id"]: row for row in rows(run, "verdicts")}
    values = []
    for problem in rows(run, "problems"):
        refuted = measure == "diversity_sound"
        classes = [None if (v := verdicts[s["solution_id"]])["verdict"] != "correct" or
                   refuted and v["false_step"] is not None else
                   s["solution"] if measure == "diversity_text" else v["equation_key"]
                   for s in rows(run, "solutions")
                   if s["generator"] == generator and s["problem_id"] == problem["problem_id"]]
        counts = [len(set(subset) - {None}) for subset in combinations(classes, k)]
        values.append(sum(min(1, n) if measure == "coverage" else n for n in counts) / len(counts))
    return sum(values) / len(values)


def test_levels_are_what_every_subset_of_the_samples_gives(run):
    comparison = compare(run, match="samples")
    assert {row["level"] for row in comparison.rows} == {1, 2, 3} and len(comparison.rows) == 3 * 2 * 4
    for row in comparison.rows:
        assert isclose(row["value"], brute_force(run, row["generator"], row["k"], row["measure"]), abs_tol=1e-12)
        assert row["low"] <= row["value"] <= row["high"] and row["n"] == PROBLEMS


def test_solutions_with_a_false_equation_are_not_among_the_sound_ones(run):
    """One of the weak one's 30 solutions: the fourth of problem 5, whose list of equations no other has."""
    value = {(row["generator"], row["measure"]): row["value"] for row in compare(run, match="samples").rows
             if row["level"] == 3}
    assert sum(row["soundness"] == "unsound" for row in rows(run, "verdicts")) == 1
    lost = value["weak", "diversity_equations"] - value["weak", "diversity_sound"]
    assert isclose(lost, 3 / 6 / PROBLEMS)  # a class of one is among three of six samples in half of the subsets
    assert value["strong", "diversity_equations"] == value["strong", "diversity_sound"]


def test_solutions_that_a_judge_found_unsound_are_not_among_the_sound_ones(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    table = tmp_path / "run" / "tables" / "judgements.parquet"
    good = [row for row in rows(run, "verdicts") if row["verdict"] == "correct"]
    votes = {"sampled": True, "steps": 2, "votes_sound": 0, "votes_unsound": 1, "votes_undecided": 0, "judge": "j",
             "judge_id": "j"}
    judged = [{"solution_id": row["solution_id"], "soundness": "unsound", **votes} for row in good]
    write_rows(table, judged, TABLES["judgements"].schema)
    values = {row["measure"]: row["value"] for row in compare(tmp_path / "run", match="samples").rows
              if (row["level"], row["generator"]) == (3, "strong")}
    assert values["diversity_sound"] == 0 < values["diversity_equations"]


def test_differences_are_taken_problem_by_problem(run):
    table = compare(run, match="samples")
    value = {(row["level"], row["generator"], row["measure"]): row["value"] for row in table.rows}
    assert {row["generator"] == table.reference for row in table.rows} == {True, False}
    for row in table.rows:
        if row["generator"] == table.reference:
            assert row["difference"] is None
        else:
            level, measure = row["level"], row["measure"]
            assert isclose(row["difference"], row["value"] - value[level, table.reference, measure], abs_tol=1e-12)
            assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_within_a_level_only_its_problems_count(run):
    comparison = compare(run, by="level", match="samples")
    assert {(row["group"], row["n"]) for row in comparison.rows} == {("0", 2), ("1", 3)}


def test_what_one_alone_solves_is_counted_on_the_first_samples(run):
    """With three samples each, right ones first: the weak one fails problem 1 alone, the strong one problem 4."""
    solved = {row.generator: row for row in compare(run, match="samples").solved}
    gold = {row["problem_id"]: row["answer"] for row in rows(run, "problems")}
    assert [gold[problem] for problem in solved["weak"].alone] == ["12"] and solved["weak"].solved == 4
    assert [gold[problem] for problem in solved["strong"].alone] == ["3"] and solved["strong"].n == PROBLEMS
    assert solved["weak"].low < solved["weak"].share == 0.2 < solved["weak"].high


def test_a_cheap_generator_gets_more_samples_for_the_same_cost():
    weak, strong = Side("weak", 30, 60, 2, Fraction(2)), Side("strong", 12, 60, 6, Fraction(61, 10))
    levels = spending([weak, strong], strong)
    assert list(levels) == [1, 2, 4, 8, 10]  # 10 buy 30.5 samples of the weak one, 11 would buy 33
    assert levels[10] == {"weak": 30, "strong": 10} and levels[1] == {"weak": 3, "strong": 1}
    with pytest.raises(UserError, match="do not add up"):
        spending([weak._replace(most=3), strong._replace(cost=Fraction(8))], strong._replace(cost=Fraction(8)))


def test_unique_solutions_for_a_unit_of_cost(run):
    comparison = compare(run, match="samples")
    diversity = {row["generator"]: row for row in comparison.rows
                 if row["level"] == 3 and row["measure"] == "diversity_equations"}
    assert "unique correct, not found unsound" in [*comparison_tables(comparison)[2].columns[0].cells]
    for row in unique_for_cost(comparison, "diversity_equations"):
        assert isclose(row["value"] * 3, diversity[row["generator"]]["value"])


def test_unknown_costs_and_words_are_the_users_mistakes(run):
    with pytest.raises(UserError, match="compare with --match samples"):
        compare(run)
    with pytest.raises(UserError, match="--by: 'colour' is not among generator, level, subject, source"):
        compare(run, by="colour")


def test_tables_name_both_sides(run):
    titles = [table.title for table in comparison_tables(compare(run, match="samples"))]
    assert titles[0] == "Cost of sampling, by samples" and titles[1].startswith("Coverage and diversity at equal cost")
    assert len(titles) == 5
