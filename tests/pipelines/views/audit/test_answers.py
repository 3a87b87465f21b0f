"""What people fill in is kept as they wrote it, or refused by its line."""

import csv
import io
from collections import Counter

import pytest
from helpers.audits import fill_in, people_measures, truth, write_csv

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.pipelines.views.audit.answers import import_answers
from stepforge.pipelines.views.audit.export import export_sample


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
