"""What every connection knows beside its tables."""

import threading

import nbformat
import pytest
from nbclient import NotebookClient

from stepforge.builders import sql
from stepforge.builders.sql import bounded_duckdb, open_duckdb


@pytest.mark.parametrize(("verdict", "reason", "counts"), [
    ("correct", None, True), ("incorrect", None, True), ("incorrect", "many_answers", True),
    ("undecided", "no_answer", True), ("undecided", "guessed", True), ("undecided", "truncated", True),
    ("undecided", "timeout", False), ("undecided", "gold_unparseable", False), ("undecided", None, False)])
def test_solution_without_an_answer_has_failed_and_a_fault_of_the_tools_is_no_outcome(
        verdict, reason, counts, tmp_path) -> None:
    with open_duckdb("256MiB", tmp_path) as connection:
        assert connection.execute("SELECT is_outcome(?, ?)", [verdict, reason]).fetchone() == (counts,)


def test_connection_opens_in_a_notebook_without_ipywidgets(tmp_path) -> None:
    """There duckdb refuses even to switch its progress bar off."""
    code = "from stepforge.builders.sql import open_duckdb\nfrom pathlib import Path\n" \
           "with open_duckdb('256MiB', Path('.')) as link:\n    print(link.execute('SELECT 42').fetchone())"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "(42,)" in notebook.cells[0].outputs[-1].text


def test_time_that_runs_out_as_the_connection_closes_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer of a busy machine may wake only then."""
    class Late(threading.Timer):
        def run(self) -> None:
            self.finished.wait(self.interval)
            self.finished.wait(0.2)  # it saw its time pass, and then another process had the processor
            self.function()

    failed: list[object] = []
    monkeypatch.setattr(threading, "Timer", Late)
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(sql, "STRANGERS_SECONDS", 0.0)
    with bounded_duckdb(0):
        pass
    assert failed == []
