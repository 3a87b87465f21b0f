"""What commands print fits terminals of 60, 80 and 200 columns, with every number whole."""

import re
import shutil
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from stepforge.builders.errors import UserError
from stepforge.pipelines import cli
from stepforge.pipelines.run_folder import table_path
from stepforge.pipelines.views import console, show
from stepforge.pipelines.views.tables import lean


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("command", [["status", "RUN"], ["measure", "RUN"], ["show", "RUN"], ["recipe", "--list"],
                                     ["recipe", "--options"], ["plan", "demo"]])
def test_tables_fit(small_run, tmp_path, monkeypatch, command, width):
    monkeypatch.chdir(tmp_path)
    terminal = True if "--options" in command else None  # elsewhere it lists them line by line
    monkeypatch.setattr(console, "out", Console(highlight=False, width=width, force_terminal=terminal,
                                                color_system=None))
    done = CliRunner().invoke(cli.app, [str(small_run) if word == "RUN" else word for word in command])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if str(small_run) not in line]
    assert len(lines) > 5 and max(map(len, lines)) <= width
    assert "…" not in done.output
    assert not re.search(r"\d[-–]\d+\.\d", done.output)  # an interval is written "a to b"


def test_lean_leaves_out_empty_columns_and_puts_constant_ones_into_the_title():
    table = Table("generator", "group", "value", "note", title="Rates")
    table.add_row("tiny", "easy", "1", "")
    table.add_row("tiny", "hard", "1", "")
    made = lean(table, "generator", "group")
    assert [column.header for column in made.columns] == ["group", "value"] and str(made.title) == "Rates, tiny"
    assert [list(column.cells) for column in made.columns] == [["easy", "hard"], ["1", "1"]]


def line(name, **account):
    planned = SimpleNamespace(stage=SimpleNamespace(name=name))
    whole = {"rows_in": 5, "rows_out": 5, "dropped": {}, "seconds": 1.0, "facts": {}} | account
    return console.account_line(planned, whole if account else None).plain


def test_line_of_a_stage_has_spaces_and_only_reasons_that_rows_have():
    assert line("decontaminate") == "decontaminate done before"
    assert "dropped" not in line("deduplicate", dropped={"duplicate": 0, "near": 0})
    assert "dropped: 2 near  " in line("deduplicate", dropped={"duplicate": 0, "near": 2})


def test_show_of_a_run_without_steps_says_so(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "run")
    steps = table_path(tmp_path / "run", "steps")
    pq.write_table(pq.read_table(steps).slice(0, 0), steps)
    with pytest.raises(UserError, match="no annotated solution.*report"):
        show.annotated_table(tmp_path / "run")
