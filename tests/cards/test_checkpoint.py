"""Unfinished tables on a branch of the tests' Hub, pushed and loaded by the real clients."""

import io
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from hub_server import Fault, Hub, Lost

from stepforge.builders.parquet import write_rows
from stepforge.builders.tables import TABLES
from stepforge.cards.checkpoint import branch_of, push

VERDICTS = TABLES["verdicts"].schema
KNOWN = {"verdict": "correct", "method": "literal", "soundness": "unchecked"}


def part(path: Path, ids: list[str]) -> str:
    write_rows(path, [{name: KNOWN.get(name, one if name.endswith("_id") else None) for name in VERDICTS.names}
                      for one in ids], VERDICTS)
    return str(path)


def uploads(hub: Hub) -> int:
    return sum(line.startswith("PUT /lfs/") for line in hub.log)


def test_finished_parts_load_from_the_branch_and_what_is_there_is_not_sent_again(hub: Hub, clients, tmp_path) -> None:
    first, second = part(tmp_path / "a.parquet", ["a", "b"]), part(tmp_path / "b.parquet", ["c"])

    def pushed(*paths: str) -> list[str]:
        hub.log.clear()
        hub.stored.clear()
        done = clients.start("checkpoint", to="hub:org/early", run="run", tables={"verdicts": paths}).wait()
        assert "value" in done, done
        rows = clients.load("org/early", "verdicts", "checkpoint-run")["value"]["train"]
        return sorted(row["solution_id"] for row in rows)

    assert pushed(first) == ["a", "b"] and uploads(hub) == 1
    renamed = Path(first).rename(tmp_path / "renamed.parquet")
    assert pushed(str(renamed), second) == ["a", "b", "c"] and uploads(hub) == 1
    repo = hub.repos["org/early"]
    commits = len(repo.commits)
    assert pushed(str(renamed), second) == ["a", "b", "c"]
    assert uploads(hub) == 0 and len(repo.commits) == commits
    assert pushed(second) == ["c"] and uploads(hub) == 0
    assert repo.private and not repo.tags and set(repo.at("main").files) == {".gitattributes"}
    card = repo.at("checkpoint-run").files["README.md"].content.decode()
    assert "unfinished" in card and "| verdicts | 1 |" in card and str(tmp_path) not in card


def test_a_branch_of_a_published_repository_holds_the_run_alone_and_the_version_stays(
        hub: Hub, clients, make_small: Callable[..., Path], tmp_path: Path) -> None:
    assert "value" in clients.publish(make_small(), "hub:org/both", "1.0.0")
    repo = hub.repos["org/both"]
    before = {name: file.sha256 for name, file in repo.at("v1.0.0").files.items()}
    tables = {"verdicts": [part(tmp_path / "a.parquet", ["a"])]}
    assert "value" in clients.start("checkpoint", to="hub:org/both", run="run", tables=tables).wait()
    names = {re.sub(r"[0-9a-f]{32}", "SHA", name) for name in repo.at("checkpoint-run").files}
    assert names == {".gitattributes", "README.md", "verdicts/SHA.parquet"}
    for revision in ("main", "v1.0.0"):
        assert {name: file.sha256 for name, file in repo.at(revision).files.items()} == before


def test_a_hub_that_fails_is_told_and_leaves_the_branch_whole(hub: Hub, clients, tmp_path) -> None:
    tables = {"verdicts": [part(tmp_path / "a.parquet", ["a"])]}
    arguments = {"to": "hub:org/sick", "run": "run", "tables": tables}
    hub.faults = [Fault("POST .*/commit/", times=99)]
    assert clients.start("checkpoint", **arguments).wait()["error"] == "Busy"
    assert set(hub.repos["org/sick"].at("checkpoint-run").files) == {".gitattributes"}
    hub.faults.clear()
    assert "value" in clients.start("checkpoint", **arguments).wait()
    repo = hub.repos["org/sick"]
    for is_private, asked, reason in ((True, False, "is private"), (False, None, "everybody would see rows that are"),
                                      (False, True, "is public")):
        repo.private, commits = is_private, len(repo.commits)
        refused = clients.start("checkpoint", **arguments, private=asked).wait()
        assert refused["error"] == "PublishError" and reason in refused["message"]
        assert len(repo.commits) == commits
    assert clients.start("checkpoint", **arguments, private=False).wait()["value"]["sent"] == 0


def test_a_folder_takes_a_checkpoint_as_a_branch_does(tmp_path: Path) -> None:
    first, second = (Path(part(tmp_path / f"{name}.parquet", [name])) for name in "ab")
    known: dict[tuple[int, ...], str] = {}
    assert push(f"local:{tmp_path / 'there'}", "run", {"verdicts": [first]}, None, known)[:2] == (2, 0)
    assert push(f"local:{tmp_path / 'there'}", "run", {"verdicts": [second]}, None, known)[:2] == (2, 1)
    there = tmp_path / "there" / "checkpoint-run"
    assert [path.read_bytes() for path in there.glob("verdicts/*")] == [second.read_bytes()]


@pytest.mark.parametrize(("name", "branch"), [("a.b", "checkpoint-a.b"), ("a..b", "checkpoint-a-.b"),
                                              ("a.", "checkpoint-a-"), ("a.lock", "checkpoint-a-lock")])
def test_a_branch_has_a_name_that_git_takes(name: str, branch: str) -> None:
    assert branch_of(name) == branch


def test_a_push_that_stops_between_two_commits_shows_the_rows_of_before(hub: Hub, clients, tmp_path: Path) -> None:
    old, new = ([part(tmp_path / f"{name}.parquet", [name]) for name in names] for names in ("ab", "cde"))

    def pushed(paths: list[str]) -> dict:
        return clients.start("checkpoint", to="hub:org/slow", run="run", tables={"verdicts": paths},
                             settings={"upload.MOST_FILES": 2}).wait()

    def shown() -> list[str]:
        rows = clients.load("org/slow", "verdicts", "checkpoint-run", streaming=True)["value"]["train"]
        return sorted(row["solution_id"] for row in rows)

    assert "value" in pushed(old) and shown() == ["a", "b"]
    hub.faults = [Fault("POST .*/commit/", "call"), Fault("POST .*/commit/", status=403)]
    assert "error" in pushed(new) and shown() == ["a", "b"]
    hub.faults.clear()
    assert "value" in pushed(new) and shown() == ["c", "d", "e"]


def test_a_push_that_is_killed_before_any_request_shows_the_rows_of_before_and_the_next_one_ends_it(
        hub: Hub, clients, tmp_path: Path) -> None:
    sets = [[part(tmp_path / f"{name}.parquet", [name]) for name in names] for names in ("ab", "cde")]

    def start(paths: list[str]):
        hub.stored.clear()
        hub.log.clear()
        return clients.start("checkpoint", to="hub:org/killed", run="run", tables={"verdicts": paths},
                             settings={"upload.MOST_FILES": 2})

    def shown() -> list[str]:
        """Rows of the files that the card of the branch names, all of which must be there."""
        files = hub.repos["org/killed"].at("checkpoint-run").files
        card = yaml.safe_load(files["README.md"].content.split(b"---")[1])
        return sorted(row["solution_id"] for path in card["configs"][0]["data_files"]
                      for row in pq.read_table(io.BytesIO(files[path].content)).to_pylist())

    assert "value" in start(sets[0]).wait() and shown() == ["a", "b"]
    calls: list = []

    def kill() -> None:
        os.kill(calls[-1].pid, signal.SIGKILL)
        raise Lost

    for moment in range(30):
        before, (_, new) = shown(), sets
        after = [Path(path).stem for path in new]
        hub.faults = [Fault("POST|PUT", "call", times=moment), Fault("POST|PUT", "call", hook=kill)]
        calls.append(start(new))
        if "value" in calls[-1].wait():
            break
        assert shown() == before
        hub.faults.clear()
        assert "value" in start(new).wait() and shown() == after
        sets.reverse()
    assert len(calls) > 8, "create branch, uploads and two commits"
