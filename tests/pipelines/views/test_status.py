"""`stepforge status` tells from files alone how a run stands, whatever the clocks of two machines say."""

import os
import time

import orjson
import pytest
from rich.console import Console

from stepforge.builders.errors import UserError
from stepforge.builders.tables import STEPS
from stepforge.pipelines import progress
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.progress import RUNNING, announced, read_progress, read_ranks
from stepforge.pipelines.views import status


def shown(run) -> str:
    console = Console(width=200, record=True, file=open(os.devnull, "w"))
    console.print(status.view(run))
    return console.export_text()


@pytest.fixture
def run(tmp_path):
    """A run whose `generate` is done and whose `annotate` has two ranks, one of them finished."""
    account = {"fingerprint": "f", "rows_in": 90, "rows_out": 88, "dropped": {"error": 2}, "failed": 2,
               "ledger": {"completion_tokens": 4321}, "seconds": 75.0}
    (tmp_path / "recipe.yaml").write_text("name: r\n")
    (tmp_path / "state.json").write_bytes(orjson.dumps({"generate": account}))
    work = tmp_path / "work" / "annotate"
    for rank, documents in enumerate((6, 2)):
        with TableOutput(work, (STEPS,)) as output:
            output.open(rank)
            output.count(requests=10 * documents, tokens=100 * documents, failed=rank)
            for _ in range(documents):
                output.write_tables({"steps": []}, rank, 0)
            output.progress.started -= 4  # as if it had worked for four seconds
    (work / "completions").mkdir()
    (work / "completions" / "00000").touch()
    return tmp_path


def test_ranks_rates_failures_and_time_left(run):
    with announced(run, "annotate", run / "work" / "annotate", "annotate", 20):
        text = shown(run)
    assert "annotate for 0 s" in text and "8 of 20 documents, 0.5 a second, about 24 s left" in text
    at_work, done = (next(line for line in text.splitlines() if line.startswith(f"│ {rank} ")) for rank in (1, 0))
    assert [cell.strip() for cell in at_work.split("│")[2:9]] == ["at work", "2", "0.50", "20", "0", "200", "1"]
    assert "done" in done and "600" in done
    assert "88" in text and "2 error" in text and "4,321" in text and "1:15 min" in text


@pytest.mark.parametrize("hours", [-3, 3])
def test_run_lives_though_the_clocks_of_two_machines_differ(run, hours, monkeypatch):
    monkeypatch.setattr(progress, "PULSE_SECONDS", 0.1)
    monkeypatch.setattr(status, "PULSE_SECONDS", 0.3)
    now = time.time
    monkeypatch.setattr(status.time, "time", lambda: now() + 3600 * hours)
    with announced(run, "annotate", run / "work" / "annotate", "annotate", 20):
        assert status.is_running(run) and "annotate for" in shown(run)


def test_stopped_and_killed_runs_are_told_apart(run, monkeypatch):
    monkeypatch.setattr(status, "PULSE_SECONDS", 0.1)
    with pytest.raises(OSError), announced(run, "annotate", run / "work" / "annotate", "annotate", 20):
        kept = (run / RUNNING).read_bytes()
        raise OSError
    assert "stopped in annotate" in shown(run)
    (run / RUNNING).write_bytes(kept)
    os.utime(run / RUNNING, (time.time() - 60, time.time() - 60))
    assert "the process ended in annotate on" in shown(run) and not status.is_running(run)


def test_half_written_progress_is_left_out(run):
    (run / "work" / "annotate" / "progress" / "00001.json").write_bytes(b'{"counts": {')
    assert list(read_ranks(run / "work" / "annotate")) == [0]
    assert read_progress(run / "work" / "annotate")["documents"] == 6


def test_silence_is_measured_against_the_newest_file(run):
    """All times come from one file server, so a reader whose clock is wrong sees the same."""
    behind = time.time() - 7200
    os.utime(run / "work" / "annotate" / "progress" / "00001.json", (behind - 90, behind - 90))
    os.utime(run / "work" / "annotate" / "progress" / "00000.json", (behind, behind))
    assert read_ranks(run / "work" / "annotate")[1]["age"] == pytest.approx(90, abs=0.01)


def test_finished_run(small_run):
    text = shown(small_run)
    assert "nothing runs" in text and "to do" not in text and not status.is_running(small_run)


def test_other_folder_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="not the folder of a run"):
        status.view(tmp_path)
