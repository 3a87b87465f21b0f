"""A run that pushes what it has finished: whole buckets alone, the tables at its end, and no harm where it fails."""

import orjson
import pyarrow.parquet as pq
import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.builders.parquet import parts_of, read_rows
from stepforge.pipelines import checkpoint, plan
from stepforge.pipelines.checkpoint import PUSHED, Checkpoints
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.run_folder import table_path

TINY = SMALL | {"name": "early", "judge": None, "annotate": None,
                "executor": {"tasks": 1, "workers": 1, "buckets": 3}}


def there(folder, table):
    """Rows of a table at the target, in the order of their text."""
    return sorted(str(row) for path in folder.glob(f"{table}/*.parquet") for row in read_rows(path))


def test_finished_buckets_go_there_while_the_run_works_and_its_tables_at_the_end(tmp_path, monkeypatch):
    seen, finished_buckets = [], checkpoint.finished_buckets

    def watched(work, table):
        seen.append((table, len(paths := finished_buckets(work, table))))
        return paths

    monkeypatch.setattr(checkpoint, "finished_buckets", watched)
    release = SMALL["release"] | {"checkpoint": f"local:{tmp_path / 'there'}", "checkpoint_minutes": 0.0005}
    execute(TINY | {"release": release}, tmp_path / "run", "verify")
    assert any(table == "solutions" and count in (1, 2) for table, count in seen), seen
    for table in ("problems", "solutions", "verdicts"):
        assert there(tmp_path / "there" / "checkpoint-early", table) == sorted(map(str, rows(tmp_path / "run", table)))
    assert {path.name for path in (tmp_path / "there" / "checkpoint-early").iterdir()} == {
        "README.md", "problems", "solutions", "verdicts"}
    assert orjson.loads((tmp_path / "run" / "checkpoint.json").read_bytes())["files"] > 3
    assert not list((tmp_path / "run" / "work" / "checkpoint").iterdir())


def test_a_target_that_fails_stops_no_run_and_is_told(tmp_path):
    (tmp_path / "there").write_text("a file where a folder should be")
    labels = []

    def tell(work, label, documents):
        labels.append(label)
        return plan.silent(work, label, documents)

    recipe = plan.Recipe.model_validate(TINY | {"release": {"checkpoint": f"local:{tmp_path / 'there'}"}})
    plan.run(recipe, tmp_path / "run", tell, lambda *_: None, "generate")
    assert rows(tmp_path / "run", "solutions")
    kept = orjson.loads((tmp_path / "run" / "checkpoint.json").read_bytes())
    assert kept["warning"].startswith("not pushed, and tried again later") and labels[-1].endswith(kept["warning"])


def test_a_run_that_fails_pushes_what_it_has_and_what_is_done_goes_there_when_it_resumes(tmp_path):
    recipe = TINY | {"release": {"checkpoint": f"local:{tmp_path / 'there'}"}}

    def report(planned, account):
        if planned.stage.name == "generate":
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="terminal"):
        plan.run(plan.Recipe.model_validate(recipe), tmp_path / "run", plan.silent, report, "verify")
    branch = tmp_path / "there" / "checkpoint-early"
    sent = {path.name: path.stat().st_mtime_ns for path in branch.glob("solutions/*")}
    assert there(branch, "solutions") and not there(branch, "verdicts")
    execute(recipe, tmp_path / "run", "verify")
    assert {path.name: path.stat().st_mtime_ns for path in branch.glob("solutions/*")} == sent
    assert there(branch, "verdicts")


def test_parts_of_ranks_pilots_and_unfinished_buckets_stay_here(tmp_path):
    checkpoints = Checkpoints(tmp_path, "run", ReleaseOptions(checkpoint="local:x"))
    for name in ("0/out/solutions/00000.parquet", "pilot-0/out/solutions/00001.parquet",
                 "0/unsorted/out/solutions/00002.parquet", "0/out/solutions/.00003.parquet.1.tmp"):
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_text(name)

    def snapshot(name):
        (tmp_path / name).mkdir()
        tables = checkpoints._snapshot(tmp_path / name)
        return {table: [path.read_text() for path in paths] for table, paths in tables.items()}

    checkpoints.begin(("solutions", "budgets"), tmp_path / "work", 4)
    assert snapshot("a") == {"solutions": ["0/out/solutions/00000.parquet"]}
    checkpoints.begin(("solutions", "budgets"), tmp_path / "work", 1)
    assert snapshot("b") == {}
    assert not {"drops", "evaluations"} & set(PUSHED), "messages of servers, and problems that are held out"


def test_a_table_that_is_on_the_move_leaves_the_branch_as_it_is(tmp_path):
    release = SMALL["release"] | {"checkpoint": f"local:{tmp_path / 'there'}"}
    execute(TINY | {"release": release}, tmp_path / "run", "generate")
    before = there(tmp_path / "there" / "checkpoint-early", "solutions")
    checkpoints = Checkpoints(tmp_path / "run", "early", ReleaseOptions(**release))
    checkpoints.done(("problems", "solutions"))
    next((tmp_path / "run" / "tables" / "solutions").iterdir()).unlink()
    assert "solutions is being written" in checkpoints.push()["warning"]
    assert there(tmp_path / "there" / "checkpoint-early", "solutions") == before != []


def test_a_file_is_read_for_its_checksum_once_and_again_where_it_was_replaced(tmp_path, monkeypatch):
    from stepforge.cards import checkpoint as pushing

    read, sha256_file = [], pushing.sha256_file
    monkeypatch.setattr(pushing, "sha256_file", lambda path: read.append(path.name) or sha256_file(path))
    release = ReleaseOptions(checkpoint=f"local:{tmp_path / 'there'}")
    execute(TINY, tmp_path / "run", "decontaminate")
    checkpoints = Checkpoints(tmp_path / "run", "early", release)
    checkpoints.done(("problems",))
    assert [checkpoints.push().get("sent") for _ in range(2)] == [len(read) + 1, 1], checkpoints.push()
    count = len(read)
    path = parts_of(table_path(tmp_path / "run", "problems"))[0]
    table = pq.read_table(path)
    pq.write_table(table.slice(1), tmp_path / "new")
    (tmp_path / "new").rename(path)
    checkpoints.push()
    assert len(read) == count + 1
    assert there(tmp_path / "there" / "checkpoint-early", "problems") == sorted(
        map(str, rows(tmp_path / "run", "problems")))


def test_a_place_that_takes_no_push_is_told_before_the_run_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("stepforge.cards.targets.LocalTarget.is_private", lambda self: False)
    told = []
    checkpoints = Checkpoints(tmp_path, "run", ReleaseOptions(checkpoint=f"local:{tmp_path}"))
    with checkpoints.pushing(lambda work, label, count: told.append(label) or plan.silent(work, label, count)):
        assert len(told) == 1 and "is public, so everybody would see rows" in told[0]
