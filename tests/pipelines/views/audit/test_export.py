"""What people read tells no verdict and runs nothing."""

import csv
import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from helpers.audits import GENERATOR
from helpers.runs import rows

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.tables import VERDICTS
from stepforge.pipelines.views.audit.answers import import_answers
from stepforge.pipelines.views.audit.export import COLUMNS, export_sample


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
