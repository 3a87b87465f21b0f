"""What people say is counted right: in the measures, on the card and in the report."""

import csv
import re
import sys
from collections import Counter

import pytest
from helpers.audits import GENERATOR, fill_in, judge_everything, people_measures, truth, write_csv
from helpers.runs import execute, rows

from stepforge.builders.parquet import read_rows
from stepforge.builders.release import read_manifest
from stepforge.pipelines import cli
from stepforge.pipelines.statistics.intervals import wilson
from stepforge.pipelines.views.audit.answers import import_answers
from stepforge.pipelines.views.audit.report import report_tables


def test_whole_population_gives_the_true_rate(run):
    path, _ = fill_in(run, 60, truth)
    assert import_answers(run, path, "ann") == (60, 0)
    measured = people_measures(run)["false_positive_rate_people"]
    assert (measured["value"], measured["n"]) == (pytest.approx(24 / 48), 48)


def test_rate_of_a_sample_is_weighted_back_to_the_strata(run):
    judge_everything(run)
    path, answers = fill_in(run, 20, truth)
    import_answers(run, path, "ann")
    drawn = {row["solution_id"]: row for file in (run / "audits/samples").glob("*") for row in read_rows(file)}
    correct = [row for row in answers if drawn[row["solution_id"]]["verdict"] == "correct"]
    n = Counter(drawn[row["solution_id"]]["stratum"] for row in correct)
    size = {row["stratum"]: row["population"] for row in drawn.values()}
    assert {size[stratum] for stratum in n} == {12, 36} and 0 < len(correct) < 20
    weight = {stratum: size[stratum] / 48 for stratum in n}
    share = sum(weight[s] / n[s] for row in correct if row["soundness"] == "unsound"
                for s in [drawn[row["solution_id"]]["stratum"]])
    measured = people_measures(run)["false_positive_rate_people"]
    assert measured["value"] == pytest.approx(share)
    effective = 1 / sum(weight[s] ** 2 / n[s] for s in n)
    assert (measured["low"], measured["high"]) == pytest.approx(wilson(share, effective))


def test_answers_reach_measures_and_card(run, recipe):
    path, _ = fill_in(run, 60, truth)
    assert execute(recipe, run) == [], "a sample that nobody has read changes nothing"
    import_answers(run, path, "ann")
    assert execute(recipe, run) == ["measure", "build", "card", "publish"]
    measures = {row["measure"]: row for row in read_manifest(run / "release")["measures"]}
    assert measures["false_positive_rate_people"]["value"] == 0.5
    assert measures["false_equation_rate"]["value"] == 0.25, "equations stay a lower bound beside it"
    card = (run / "release/README.md").read_text(encoding="utf-8")
    assert re.search(r"\| people \| 0\\?\.500 \|", card)
    assert execute(recipe, run) == []


def test_what_people_found_decides_soundness_and_positives(run, recipe):
    path, answers = fill_in(run, 60, truth)
    import_answers(run, path, "ann")
    said = {row["solution_id"]: row["soundness"] for row in answers}
    some = next(id for id, soundness in said.items() if soundness == "sound")
    other = write_csv(run / "other.csv", [
        row | {"soundness": "unsound"} for row in answers if row["solution_id"] == some])
    import_answers(run, other, "bob")
    execute(recipe, run)

    def positives():
        return {row["solution_id"]: (row["soundness"], row["checked_by"])
                for file in (run / "release").rglob("positives/*.parquet") for row in read_rows(file)}

    released = positives()
    assert Counter(released.values()) == {("unsound", "equations"): 12, ("unsound", "people"): 12,
                                          ("sound", "people"): 24 - (some in released),
                                          ("unchecked", None): int(some in released)}
    assert all(soundness == said[id] for id, (soundness, by) in released.items() if by == "people")
    execute(recipe | {"release": {"unsound_positives": "drop"}}, run)
    assert positives() == {id: found for id, found in released.items() if found[0] != "unsound"}


def cells(table):
    return [[str(cell) for cell in column.cells] for column in table.columns]


def test_report_counts_agreement(run):
    """Of 60, all agree on 12 unsound and 24 sound; people alone object to 12 attacks and 12 wrong sums."""
    judge_everything(run)
    path, answers = fill_in(run, 60, truth)
    import_answers(run, path, "ann")
    shares, agreement = report_tables(run)
    machine, read, both, people_alone, machine_alone, neither, agreed, same = cells(agreement)
    assert machine == ["equations", "judge"] and read == ["60", "60"]
    assert (both, people_alone, machine_alone, neither) == (["12"] * 2, ["24"] * 2, ["0"] * 2, ["24"] * 2)
    # observed 36/60; by chance 36/60 * 12/60 + 24/60 * 48/60 = 0.44
    assert agreed == [f"{(0.6 - 0.44) / (1 - 0.44):.2f}"] * 2
    assert same == ["–", "12 of 12"]
    assert set(zip(*cells(shares)[:3], strict=True)) >= {(GENERATOR, "people", "0.500"),
                                                         (GENERATOR, "equations (lower bound)", "0.250")}


def test_two_people_count_as_one_where_they_agree_and_as_none_where_not(run):
    path, answers = fill_in(run, 60, truth)
    import_answers(run, path, "ann")
    ids = {row["solution_id"] for row in answers[:10]}
    other = [row | {"soundness": "sound", "first_error": ""} for row in answers if row["solution_id"] in ids]
    import_answers(run, write_csv(run / "other.csv", other), "bob")
    verdict = {row["solution_id"]: row["verdict"] for row in rows(run, "verdicts")}
    lost = sum(row["soundness"] == "unsound" and verdict[row["solution_id"]] == "correct" for row in answers[:10])
    measured = people_measures(run)["false_positive_rate_people"]
    assert lost and measured["n"] == 48 - lost
    assert measured["value"] < 0.5 + 1e-9, "a solution that people leave open is not counted as unsound"


def test_commands_end_to_end(run, monkeypatch, capsys):
    def stepforge(*arguments):
        monkeypatch.setattr(sys, "argv", ["stepforge", "audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    code, output, _ = stepforge("export", run, "--sample", 12, "--out", run / "form.csv")
    assert code == 0 and "12 solutions" in output
    code, _, error = stepforge("report", run)
    assert code == 2 and "no answers yet" in error
    with (run / "form.csv").open(newline="", encoding="utf-8") as file:
        answers = [row | {"soundness": "sound"} for row in csv.DictReader(file)]
    code, output, _ = stepforge("import", run, write_csv(run / "answers.csv", answers), "--by", "ann")
    assert code == 0 and "12 answers of ann" in output
    code, output, _ = stepforge("report", run)
    assert code == 0 and "people" in output and "kappa" in output
