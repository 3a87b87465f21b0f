"""What a source or generator says when it loses rows."""

from pathlib import Path

import pytest
from helpers.runs import execute

from stepforge.builders.sources.records import Drop
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.stages.losses import Losses, warned
from stepforge.pipelines.views.console import account_line


def losses(kept, **reasons):
    counted = Losses("generator g")
    counted.add(kept, [Drop(f"f:{n}", reason, f"why {n}") for reason, count in reasons.items() for n in range(count)])
    return counted


def test_more_than_half_lost_warns_with_the_commonest_reason_and_what_costs_nothing_does_not():
    assert losses(4, no_problem=3, malformed=2).warning() == (
        "generator g: 5 of 9 rows are dropped, most of them (3) as no_problem: f:0: why 0")
    assert warned([losses(5, malformed=5), losses(1, duplicate=9), losses(1, over_limit=9), losses(0)]) == {}


def test_nothing_left_names_one_row_what_stands_beside_it_and_the_table():
    text = str(losses(0, malformed=1, no_problem=2).nothing(Path("drops.parquet"), ". A problem is 'x'"))
    assert text == ("generator g: none of 3 rows can be used; 2 are dropped as no_problem. The first of these is f:0: "
                    "why 0. A problem is 'x'. All are in drops.parquet")
    assert str(losses(0).nothing(Path("d"))) == "generator g: its input has no rows"


def test_source_without_one_usable_row_fails_the_run(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"problem": "a?", "answer": "proof"}\n{"problem": "b?", "answer": "notfound"}')
    recipe = {"name": "n", "problems": [{"source": "files", "paths": [str(tmp_path / "p.jsonl")]}],
              "generators": [{"name": "g", "engine": "embedded"}]}
    with pytest.raises(StageFailed, match="none of 2 rows can be used; 2 are dropped as no_gold.*p.jsonl:1.*'proof'"):
        execute(recipe, tmp_path / "run")


def test_terminal_shows_warnings_below_the_stage():
    class Planned:
        class stage:
            name = "generate"
    account = {"rows_in": 2, "rows_out": 1, "dropped": {"malformed": 1}, "seconds": 0.1,
               "facts": {"warnings": ["generator g: \x1b[31m5 of 9"]}}
    assert account_line(Planned, account).plain.splitlines()[1].strip() == "warning: generator g: \ufffd[31m5 of 9"
