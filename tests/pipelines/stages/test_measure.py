"""Measures equal what counting every subset gives, to the last digit; and what real samples show."""

import os
import random
from collections import defaultdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import duckdb
import pytest
from helpers.runs import rows

from stepforge.builders.errors import UserError
from stepforge.pipelines.stages.measure import ladder
from stepforge.pipelines.stages.measure.curves import count_classes, count_votes, curve_rows, majority_rows
from stepforge.pipelines.views import measures

DATA = os.environ.get("STEPFORGE_TEST_DATA")
COLUMNS = "generator VARCHAR, problem_id VARCHAR, correct BOOLEAN, counts BOOLEAN, text_key UBIGINT, " \
          "equation_key UBIGINT, answer_key VARCHAR"


def made_up(seed):
    """Samples of two generators on four problems, up to six of each that count; few texts, fewer equations."""
    draw, samples = random.Random(seed), []
    for generator in ("weak", "strong"):
        for problem in "pqrs":
            for _ in range(draw.randint(1, 6)):
                answer = draw.choice(["1", "2", "3", None])
                text = draw.randint(1, 4)
                samples.append((generator, problem, answer == "1", draw.random() < 0.9, text, text // 2, answer))
    return samples


def measured(samples, ks, groups):
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE sample ({COLUMNS})")
        if samples:
            connection.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?, ?, ?)", samples)
        connection.execute('CREATE TABLE grouping (problem_id VARCHAR, "by" VARCHAR, "group" VARCHAR)')
        connection.executemany("INSERT INTO grouping VALUES (?, ?, ?)", groups)
        return curve_rows(*count_classes(connection, ks), ks) + majority_rows(count_votes(connection), ks)


def value_of(measure, subset):
    correct = [sample for sample in subset if sample[2]]
    if measure == "coverage":
        return Fraction(bool(correct))
    if measure == "majority":
        votes = [sample[6] for sample in subset if sample[6]]
        most = max(map(votes.count, votes), default=0)
        best = {vote for vote in votes if votes.count(vote) == most}
        return Fraction("1" in best, max(1, len(best)))
    return Fraction(len({sample[4 if measure == "diversity_text" else 5] for sample in correct}))


@pytest.mark.parametrize("seed", range(12))
def test_measures_equal_enumeration_to_the_last_digit(seed):
    samples, ks = made_up(seed), ladder(6)
    groups = [(problem, "all", "all") for problem in "pqrs"]
    groups += [(problem, "level", "easy" if problem in "pq" else "hard") for problem in "pqrs"]
    members, of_problem = defaultdict(set), defaultdict(list)
    for problem, by, group in groups:
        members[by, group].add(problem)
    for sample in samples:
        if sample[3]:
            of_problem[sample[:2]].append(sample)
    measures = measured(samples, ks, groups)
    assert {row["group"] for row in measures} == {"all", "easy", "hard"}
    for row in measures:
        counted = [picked for (generator, problem), picked in of_problem.items()
                   if generator == row["generator"] and problem in members[row["by"], row["group"]]]
        enough = [picked for picked in counted if len(picked) >= row["k"]]
        values = []
        for picked in enough:
            subsets = list(combinations(picked, row["k"]))
            values.append(sum((value_of(row["measure"], subset) for subset in subsets), Fraction(0)) / len(subsets))
        assert row["value"] == float(sum(values, Fraction(0)) / len(values)), row
        assert (row["n"], row["excluded"]) == (len(enough), len(counted) - len(enough))
        assert row["low"] is None or row["low"] <= row["value"] <= row["high"]


def test_order_of_the_samples_changes_no_digit():
    samples = [(f"g{number % 2}", f"p{number % 97}", number % 3 == 0, True, number % 41, number % 7, str(number % 5))
               for number in range(5000)]
    groups = [(f"p{number}", "all", "all") for number in range(97)]
    assert measured(samples, [1, 4, 30], groups) == measured(samples[::-1], [1, 4, 30], groups[::-1])


def test_run_without_any_sample_has_no_curves():
    assert measured([], [1, 2], [("p", "all", "all")]) == []


def test_groups_means_histograms_and_costs_of_a_run(small_run):
    measures = {(row["by"], row["group"], row["measure"], row["k"]): row for row in rows(small_run, "measures")}
    steps = rows(small_run, "steps")
    solutions = rows(small_run, "solutions")
    levels = {row["level"] for row in rows(small_run, "problems")}
    assert {group for by, group, *_ in measures if by == "level"} == levels and len(levels) > 1
    tokens = sum(row["completion_tokens"] for row in solutions)
    assert measures["all", "all", "generate_completion_tokens", None]["value"] == tokens
    flops = measures["all", "all", "generate_flops", None]["value"] / tokens
    assert flops % 2 == 0 and 100_000 < flops < 10_000_000, "twice the parameters of the shipped model"
    of_levels = [measures["level", level, "generate_completion_tokens", None]["value"] for level in levels]
    assert sum(of_levels) == tokens
    advantages = [row["advantage"] for row in steps if row["advantage"] is not None]
    mean = sum(advantages) / len(advantages)
    assert measures["all", "all", "advantage", None]["value"] == pytest.approx(mean, abs=1e-6)
    bins = [measures["all", "all", "advantage_histogram", k]["value"] for k in range(20)]
    assert sum(bins) == pytest.approx(1)
    assert bins[10] == sum(0 <= advantage < 0.1 for advantage in advantages) / len(advantages)
    last = {row["solution_id"]: row["step_index"] for row in steps}
    positions = [row["step_index"] / max(1, last[row["solution_id"]]) for row in steps if row["is_pit"]]
    mean = sum(positions) / len(positions)
    assert measures["all", "all", "first_pit_position", None]["value"] == pytest.approx(mean, abs=1e-6)
    assert sum(measures["all", "all", "first_pit_histogram", k]["value"] for k in range(10)) == pytest.approx(1)


def test_terminal_shows_what_was_measured(small_run):
    titles = [str(table.title) for table in measures.measure_tables(small_run, "all")]
    assert titles == [f"{title}, tiny, all" for title in (
        "Measures of k samples, 95%", "Rates and means", "Histograms", "Tokens and FLOPs")]
    levels = {str(cell) for cell in measures.measure_tables(small_run, "level")[0].columns[0].cells}
    assert levels == {row["level"] for row in rows(small_run, "problems")}
    with pytest.raises(UserError, match="not measured by 'colour', but by all, level"):
        measures.measure_tables(small_run, "colour")


@pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with real samples")
def test_real_samples_of_two_models(real_run):
    """100 samples of Llama-2-7B and Mistral-7B for ten GSM8K problems: with as many samples, the better one leads."""
    value = {(row["generator"], row["measure"], row["k"]): row["value"] for row in rows(real_run, "measures")
             if row["by"] == "all"}
    curves = {key: [round(value[*key, k], 2) for k in (1, 3, 10, 30, 100)]
              for key in ((model, measure) for model in ("llama7b-2", "mistral7b")
                          for measure in ("coverage", "diversity_text", "diversity_equations", "majority"))}
    for (model, measure), values in curves.items():
        assert values == sorted(values) or measure == "majority", (model, measure)
    for model in ("llama7b-2", "mistral7b"):
        assert value[model, "coverage", 100] == 1.0
        assert value[model, "coverage", 1] == pytest.approx(value[model, "diversity_text", 1])
        assert 1 < value[model, "diversity_equations", 100] < value[model, "diversity_text", 100] <= 100
    assert value["llama7b-2", "coverage", 1] < value["mistral7b", "coverage", 1]


@pytest.fixture(scope="module")
def real_run(tmp_path_factory):
    from helpers.runs import execute

    folder = tmp_path_factory.mktemp("real")
    generators = [{"name": name, "engine": "recorded",
                   "columns": {"problem": "question", "solutions": "outputs[].response"},
                   "paths": [str(Path(DATA, f"samples_gsm8k_10x100_{name}.jsonl"))]}
                  for name in ("llama7b-2", "mistral7b")]
    source = {"source": "files", "paths": [generators[0]["paths"][0]],
              "columns": {"problem": "question", "answer": "ground_truth"}}
    execute({"name": "real", "problems": [source], "generators": generators, "release": {"splits": {}},
             "executor": {"tasks": 1, "workers": 1}}, folder)
    return folder
