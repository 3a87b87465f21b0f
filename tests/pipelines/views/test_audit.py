"""People read a sample: what they get tells no verdict and runs nothing, and what they say is counted right."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from helpers.runs import execute, rows

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.release import read_manifest
from stepforge.builders.sql import open_duckdb
from stepforge.builders.tables import JUDGEMENTS, VERDICTS
from stepforge.pipelines import cli
from stepforge.pipelines.stages.measure import people
from stepforge.pipelines.statistics.intervals import wilson
from stepforge.pipelines.views.audit.answers import import_answers
from stepforge.pipelines.views.audit.export import COLUMNS, export_sample
from stepforge.pipelines.views.audit.report import report_tables

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</li></ol></fieldset></form>",
           '=HYPERLINK("https://x.example","y")', "+1+1", "-2+3", "@SUM(A1)", "{{ 7 * 7 }} {% raw %}",
           "\u202eabc\x1b[31m", "&lt;b&gt; &amp;", "</script><script>alert(2)</script>", "' onclick='alert(3)"]
GENERATOR = "hushed"


def solutions(a, b, hostile):
    """Sound and right; right with a false equation; wrong; right below a line that attacks the reader."""
    return [f"{a} + {b} = {a + b}\nThe answer is {a + b}", f"So {a} + {b} = {a + b}\nThe answer is {a + b}",
            f"{a} + {b} = {a + b + 1}\nThe answer is {a + b}", f"It is {a + b + 2}\nThe answer is {a + b + 2}",
            f"{hostile}\nThe answer is {a + b}"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    lines = []
    for i, hostile in enumerate(HOSTILE):
        lines.append(json.dumps({"problem": f"{hostile} What is {i} + {2 * i}?", "answer": str(3 * i),
                                 "reference": hostile, "solution": solutions(i, 2 * i, hostile)}))
    (folder / "p.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = {"source": "files", "paths": [str(folder / "p.jsonl")],
              "columns": {"problem": "problem", "answer": "answer", "reference_solution": "reference"}}
    return {"name": "people", "problems": [source], "executor": {"tasks": 1, "workers": 1},
            "generators": [{"name": GENERATOR, "engine": "recorded", "paths": source["paths"],
                            "columns": {"solutions": "solution"}}]}


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "people"
    execute(recipe, folder)
    assert Counter((row["verdict"], row["soundness"]) for row in rows(folder, "verdicts")) == {
        ("correct", "undecided"): 36, ("correct", "unsound"): 12, ("incorrect", "undecided"): 12}
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "people")


def judge_everything(run):
    """A judge that finds the false equations, and nothing wrong in every other solution."""
    judged = [{"solution_id": row["solution_id"], "soundness": row["soundness"].replace("undecided", "sound"),
               "first_error": row["false_step"], "sampled": True, "steps": 2, "votes_sound": 1, "votes_unsound": 0,
               "votes_undecided": 0, "judge": "j", "judge_id": "j", "prompt_tokens": 0, "completion_tokens": 0}
              for row in rows(run, "verdicts")]
    write_rows(run / "tables/judgements.parquet", judged, JUDGEMENTS.schema)


def fill_in(run, sample, opinion, seed=0):
    """Export a CSV and answer each row by `opinion(solution)`; returns the path of the answers and the rows."""
    export_sample(run, sample, run / f"{seed}.csv", seed)
    text = {row["solution_id"]: row["solution"] for row in rows(run, "solutions")}
    with (run / f"{seed}.csv").open(newline="", encoding="utf-8") as file:
        answers = [row | dict(zip(("soundness", "first_error"), opinion(text[row["solution_id"]]), strict=True))
                   for row in csv.DictReader(file)]
    return write_csv(run / "answers.csv", answers), answers


def write_csv(path, answers):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(answers[0]))
        writer.writeheader()
        writer.writerows(answers)
    return path


def truth(solution):
    """What a careful person says: attacks and false equations are unsound, the latter from the first step on."""
    if solution.split("\n")[0] in HOSTILE:
        return "unsound", ""
    a, b, c = map(int, re.findall(r"\d+", solution)[:3]) if "+" in solution else (0, 0, 1)
    return ("sound", "") if a + b == c else ("unsound", "1")


class Reader(HTMLParser):
    """Tags, attributes and the text of steps, as a browser reads them."""

    def __init__(self):
        super().__init__()
        self.tags, self.scripts, self.steps, self.inside = Counter(), [], [], None

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        assert not any(name.startswith("on") for name, _ in attributes)
        self.inside = tag
        if tag == "li":
            self.steps.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "li":
            self.steps[-1] += data
        if self.inside == "script":
            self.scripts.append(data)


def test_form_runs_no_script_but_its_own(run):
    export_sample(run, 60, run / "form.html")
    page = (run / "form.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    assert (reader.tags["script"], reader.tags["img"], reader.tags["form"]) == (1, 0, 1)
    assert reader.tags["fieldset"] == 60 and len(reader.scripts) == 1
    digest = b64encode(sha256(reader.scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert not re.search(r"""(src|href)=["']?http""", page), "nothing is loaded from elsewhere"


def test_form_shows_the_text_as_it_was_written(run):
    export_sample(run, 60, run / "form.html")
    reader = Reader()
    reader.feed((run / "form.html").read_text(encoding="utf-8"))
    written = {line for row in rows(run, "solutions") for line in row["solution"].split("\n")}
    assert {step for step in written if step.isprintable()} <= set(reader.steps)
    assert "\ufffdabc\ufffd[31m" in reader.steps, "control characters are shown, not obeyed"


def test_no_cell_is_a_formula(run):
    export_sample(run, 60, run / "form.csv")
    with (run / "form.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    cells = [cell for row in table for cell in row.values()]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)
    assert sum(cell.startswith("'=HYPERLINK") for cell in cells) >= 5


@pytest.mark.parametrize("suffix", ["html", "csv"])
def test_file_is_the_same_whatever_the_machine_said(run, suffix):
    _, first = export_sample(run, 60, run / f"a.{suffix}")
    flipped = {"correct": "incorrect", "incorrect": "correct"}
    verdicts = [row | {"verdict": flipped[row["verdict"]], "soundness": "undecided"} for row in rows(run, "verdicts")]
    write_rows(run / "tables/verdicts.parquet", verdicts, VERDICTS.schema)
    _, second = export_sample(run, 60, run / f"b.{suffix}")
    a, b = ((run / f"{name}.{suffix}").read_text(encoding="utf-8") for name in "ab")
    assert first != second and a.replace(first, "ID") == b.replace(second, "ID")
    assert GENERATOR not in a


def test_export_is_repeatable_and_overwrites_nothing(run):
    _, first = export_sample(run, 20, run / "a.csv")
    with pytest.raises(UserError, match="exists and may contain answers"):
        export_sample(run, 20, run / "a.csv")
    _, again = export_sample(run, 20, run / "b.csv")
    _, other = export_sample(run, 20, run / "c.csv", seed=1)
    assert (run / "a.csv").read_bytes() == (run / "b.csv").read_bytes() and first == again != other


@pytest.mark.parametrize(("sample", "name", "message"), [(2, "a.csv", "at least 6"), (9, "a.pdf", ".html, .csv")])
def test_export_that_cannot_be_is_told(run, sample, name, message):
    with pytest.raises(UserError, match=message):
        export_sample(run, sample, run / name)


def test_whole_population_gives_the_true_rate(run):
    path, _ = fill_in(run, 60, truth)
    assert import_answers(run, path, "ann") == (60, 0)
    measured = people_measures(run)["false_positive_rate_people"]
    assert (measured["value"], measured["n"]) == (pytest.approx(24 / 48), 48)


def people_measures(run):
    tables = {name: run / "tables" / f"{name}.parquet" for name in ("verdicts", "judgements")}
    with open_duckdb("1GiB", run / "spill", tables) as connection:
        return {row["measure"]: row for row in people.measures(people.read_opinions(run, connection))}


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
    told = {row["measure"]: row for row in read_manifest(run / "release")["measures"]}
    assert told["false_positive_rate_people"]["value"] == 0.5
    assert told["false_equation_rate"]["value"] == 0.25, "equations stay a lower bound beside it"
    card = (run / "release/README.md").read_text(encoding="utf-8")
    assert re.search(r"\| people \| 0\\?\.500 \|", card)
    assert execute(recipe, run) == []


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
    assert lost and people_measures(run)["false_positive_rate_people"]["n"] == 48 - lost


def test_later_answers_of_a_person_replace_earlier_ones(run):
    path, answers = fill_in(run, 60, truth)
    import_answers(run, path, "ann")
    changed = [row | {"soundness": "unsure", "first_error": "", "comment": "=1+1"} for row in answers[:7]]
    assert import_answers(run, write_csv(path, changed), "ann") == (7, 0)
    kept = list(read_rows(run / "audits/ann.parquet"))
    assert Counter(row["soundness"] == "unsure" for row in kept) == {True: 7, False: 53}


def test_blank_rows_are_counted_and_not_kept(run):
    path, answers = fill_in(run, 60, lambda text: ("Sound ", "") if "It is" in text else ("", ""))
    assert import_answers(run, path, "ann") == (12, 48)
    assert {row["soundness"] for row in read_rows(run / "audits/ann.parquet")} == {"sound"}
    assert people_measures(run) == {}, "only incorrect solutions were read"


@pytest.mark.parametrize(("change", "message"), [
    ({"solution_id": "0" * 32}, "solution_id '0000.* is not in the sample"),
    ({"audit_id": "abc"}, "audit_id 'abc' is not a sample of this run"),
    ({"soundness": "wrong"}, "soundness is 'wrong'; allowed: sound, unsound, unsure"),
    ({"soundness": "unsound", "first_error": "9"}, "first_error is '9'; allowed: a step from 1 to 2"),
    ({"soundness": "unsound", "first_error": "0"}, "allowed: a step from 1"),
    ({"soundness": "unsound", "first_error": "one"}, "first_error is 'one'"),
    ({"soundness": "sound", "first_error": "1"}, "only unsound goes with a step"),
])
def test_wrong_row_is_told_by_line_and_nothing_is_kept(run, change, message):
    path, answers = fill_in(run, 60, truth)
    with pytest.raises(UserError, match=message) as caught:
        import_answers(run, write_csv(path, [*answers[:3], answers[3] | change, *answers[4:]]), "ann")
    assert "line " in str(caught.value) and not (run / "audits/ann.parquet").exists()


def test_row_that_comes_twice_is_refused(run):
    path, answers = fill_in(run, 60, truth)
    with pytest.raises(UserError, match="answered twice"):
        import_answers(run, write_csv(path, [*answers, answers[0]]), "ann")


@pytest.mark.parametrize(("content", "message"), [
    (b"", "no column audit_id"), (b"a,b\n1,2\n", "no column audit_id"), (b"\xff\xfe\x00", "UTF-8"),
    (b"audit_id,solution_id,soundness,first_error,comment\n", "has no answers"),
])
def test_file_that_is_no_answer(run, content, message):
    export_sample(run, 20, run / "a.csv")
    (run / "x.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        import_answers(run, run / "x.csv", "ann")


def test_semicolons_and_a_byte_order_mark_are_read(run):
    path, answers = fill_in(run, 60, truth)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(answers[0]), delimiter=";")
    writer.writeheader()
    writer.writerows(answers)
    path.write_text(text.getvalue(), encoding="utf-8-sig")
    assert import_answers(run, path, "ann") == (60, 0)


@pytest.mark.parametrize("name", ["../ann", "", "a b", ".hidden"])
def test_name_is_no_path(run, name):
    with pytest.raises(UserError, match="--by"):
        import_answers(run, run / "x.csv", name)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, to run the form's script")
def test_form_writes_a_csv_that_is_read_back(run):
    """The form's own function writes it; a person's comment holds what breaks a careless writer."""
    _, audit_id = export_sample(run, 60, run / "form.html")
    reader = Reader()
    reader.feed((run / "form.html").read_text(encoding="utf-8"))
    comment = 'a "quote", a comma\nand a line'
    answers = [[audit_id, row["solution_id"], "unsound", "1", comment] for row in rows(run, "solutions")]
    program = reader.scripts[0].partition("const form")[0] + (
        f"process.stdout.write(toCsv({json.dumps(COLUMNS)}, {json.dumps(answers)}))")
    done = subprocess.run(["node", "-e", program], capture_output=True, check=True)
    (run / "answers.csv").write_bytes(done.stdout)
    assert import_answers(run, run / "answers.csv", "ann") == (60, 0)
    assert {row["comment"] for row in read_rows(run / "audits/ann.parquet")} == {comment}


def test_commands_end_to_end(run, monkeypatch, capsys):
    def stepforge(*arguments):
        monkeypatch.setattr(sys, "argv", ["stepforge", "audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    code, told, _ = stepforge("export", run, "--sample", 12, "--out", run / "form.csv")
    assert code == 0 and "12 solutions" in told
    code, _, error = stepforge("report", run)
    assert code == 2 and "no answers yet" in error
    with (run / "form.csv").open(newline="", encoding="utf-8") as file:
        answers = [row | {"soundness": "sound"} for row in csv.DictReader(file)]
    code, told, _ = stepforge("import", run, write_csv(run / "answers.csv", answers), "--by", "ann")
    assert code == 0 and "12 answers of ann" in told
    code, told, _ = stepforge("report", run)
    assert code == 0 and "people" in told and "kappa" in told
