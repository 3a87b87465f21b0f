"""A run of one bucket of problem ids and a run of many give the same rows."""

import copy
import json
import shutil
import subprocess
import sys
import time
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from helpers.runs import SMALL, by_key, execute, release_of, rows, tables_of, without_cache
from helpers.world import filled

from stepforge.builders import configs
from stepforge.builders.errors import StageFailed
from stepforge.builders.parquet import buckets_of, part_name, parts_of, read_rows, write_rows
from stepforge.builders.sql import open_duckdb
from stepforge.builders.tables import BUCKETED, DROPS, TABLES, VERDICTS, content_id
from stepforge.pipelines.inference.journal import shard_of
from stepforge.pipelines.inference.output import TableOutput, parts_path
from stepforge.pipelines.plan import read_state
from stepforge.pipelines.run_folder import table_file_path, table_path
from stepforge.pipelines.stages.buckets import install, settle, write_parts
from stepforge.pipelines.stages.measure.sums import Tally
from stepforge.pipelines.stages.shares import BucketReader, Query

UNANNOTATED = [name for name, config in configs.CONFIGS.items() if not config.annotated]
VERDICT = {"solution_id": "a", "verdict": "correct", "method": "literal"}


def in_buckets(buckets: int, tasks: int = 2, **parts) -> dict:
    recipe = copy.deepcopy(SMALL) | parts
    recipe["executor"] = {"tasks": tasks, "workers": 1, "buckets": buckets}
    return recipe


def begun(run, folder):
    """The folder of a run of which nothing but the paid answers is there."""
    for journal in ("generated", "judged", "rollouts"):
        shutil.copytree(run / journal, folder / journal)
    return folder


@pytest.mark.parametrize("buckets", [4, pytest.param(7, marks=pytest.mark.slow)])
def test_a_run_of_many_buckets_gives_the_rows_of_one(small_run, tmp_path, buckets):
    folder = begun(small_run, tmp_path / "small")
    execute(in_buckets(buckets, release=SMALL["release"] | {"shards": "buckets"}), folder)
    assert tables_of(folder) == tables_of(small_run)
    assert release_of(folder) == release_of(small_run)
    shards = sorted((folder / "release" / "problems").glob("*.parquet"))
    assert len(shards) > 2 and all(path.name.endswith(f"-of-{buckets:05d}.parquet") for path in shards)
    for path in shards:
        bucket = int(path.name.split("-")[1])
        assert {shard_of(row["problem_id"], buckets) for row in read_rows(path)} == {bucket}
    for name in BUCKETED - {"rulings"}:
        path = table_path(folder, name)
        assert buckets_of(path) == buckets and len(parts_of(path)) == buckets
        for bucket in range(buckets):
            in_bucket = [row for part in parts_of(path, bucket) for row in read_rows(part)]
            assert all(shard_of(row["problem_id"], buckets) == bucket for row in in_bucket if "problem_id" in row)


WORDS = "We add both numbers and find that the sum of the two is {}.\nThe answer is {}"


@pytest.fixture
def recorded(tmp_path):
    """A recipe over 50 problems with recorded samples by two generators, some of them without gold."""
    problems = [{"problem": f"{n}+{n * n}?", "answer": None if n % 9 == 0 else n + n * n, "id": n} for n in range(50)]

    def answers(n, wrong):
        right = n + n * n
        return [WORDS.format(right, right), f"{n}+{n * n}={right}\nThe answer is {right}",
                f"First: {n} + {n * n} = {right}.\nThe answer is {right}", WORDS.format(right, right + wrong),
                WORDS.format(right, f" {right}"), f"Maybe\nThe answer is {right + 2}"]

    for name, rows_of_file in (
            ("p", problems),
            ("a", [{"problem": p["problem"], "solution": answers(p["id"], 1)} for p in reversed(problems)]),
            ("b", [{"problem": p["problem"], "solution": answers(p["id"], 0)[1:4]} for p in problems[5:]]
             + [{"problem": "none?", "solution": ["1"]}])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows_of_file)))

    def recipe(buckets=1, tasks=2, configs=UNANNOTATED, **deduplicate):
        generators = [{"name": name, "engine": "recorded", "paths": [str(tmp_path / f"{name}.jsonl")],
                       "columns": {"solutions": "solution"}} for name in "ab"]
        source = {"source": "files", "paths": [str(tmp_path / "p.jsonl")], "answer": "majority"}
        return {"name": "r", "problems": [source], "generators": generators,
                "deduplicate": {"near_problems": None} | deduplicate,
                "release": {"splits": {"test": 0.2}, "configs": configs},
                "executor": {"tasks": tasks, "workers": 1, "buckets": buckets}}
    return recipe


def everything(folder):
    return tables_of(folder), by_key(rows(folder, "drops/generate"), ("row_id",)), release_of(folder)


@pytest.mark.parametrize("rule", [pytest.param({}, marks=pytest.mark.slow), {"by": "equations", "keep": "shortest"},
                                  pytest.param({"near": 0.5, "ngram": 2}, marks=pytest.mark.slow)])
def test_recorded_samples_votes_and_duplicates_are_the_same_in_buckets(recorded, tmp_path, rule):
    execute(recorded(**rule), tmp_path / "one", "build")
    expected = everything(tmp_path / "one")
    assert len(expected[0]["duplicates"]) > 50 and {row["answer"] for row in expected[0]["problems"]} >= {"90"}
    for buckets, tasks in ((4, 3), (7, 2)) if not rule else ((4, 2),):
        folder = tmp_path / str(buckets)
        execute(recorded(buckets, tasks, **rule), folder, "build")
        assert everything(folder) == expected


def test_sums_of_buckets_add_up_and_what_is_unknown_everywhere_stays_unknown():
    tally = Tally(2)
    tally.add([("a", [("x", 1)], 3, None), ("b", [], None, None)])
    tally.add([("a", [("x", 1)], 2**70, 4), ("b", [], None, 0)])
    assert tally.rows() == [("a", (("x", 1),), 2**70 + 3, 4), ("b", (), None, 0)]


def test_rows_of_a_bucket_have_the_order_of_the_whole(recorded, tmp_path):
    execute(recorded(), tmp_path / "one", "deduplicate")
    execute(recorded(4), tmp_path / "four", "deduplicate")
    problem_of = {row["solution_id"]: row["problem_id"] for row in rows(tmp_path / "one", "solutions")}
    for name in ("problems", "solutions", "verdicts", "duplicates"):
        whole = [(shard_of(row.get("problem_id") or problem_of[row["solution_id"]], 4), row)
                 for row in rows(tmp_path / "one", name)]
        assert rows(tmp_path / "four", name) == [row for bucket in range(4) for at, row in whole if at == bucket]


def test_tables_are_divided_again_where_the_number_of_buckets_changes(recorded, tmp_path):
    folder, few = tmp_path / "run", partial(recorded, configs=["problems", "solutions", "pairs"])
    execute(few(), folder, "build")
    for buckets, keep in ((3, "shortest"), (2, "longest"), (1, "shortest")):
        assert execute(few(buckets, keep=keep), folder, "build")[0] == "deduplicate"
        assert {buckets_of(table_path(folder, name)) for name in ("solutions", "verdicts", "duplicates")} == {buckets}
        if buckets > 1:
            execute(few(keep=keep), tmp_path / keep, "build")
        assert everything(folder) == everything(tmp_path / keep)


@pytest.mark.slow
def test_a_run_that_grows_while_its_buckets_change_publishes_what_one_bucket_does(recorded, tmp_path):
    problems, folder = tmp_path / "p.jsonl", tmp_path / "run"
    whole = problems.read_text()
    problems.write_text("\n".join(whole.splitlines()[:30]))
    execute(recorded(4), folder)
    assert len(rows(folder, "problems")) == 30
    problems.write_text(whole)
    assert {"generate", "build"} <= set(execute(recorded(3, tasks=3), folder))
    execute(recorded(), tmp_path / "one")
    assert everything(folder) == everything(tmp_path / "one")
    facts = [json.loads((run / "release/stepforge.json").read_text()) for run in (folder, tmp_path / "one")]
    assert all(facts[0][name] == facts[1][name] for name in ("excluded", "weights", "configs", "left_out"))
    assert any(config == "rl_verl" for config, _ in release_of(folder))


def test_a_part_that_is_lost_or_damaged_is_made_again(recorded, tmp_path):
    folder, few = tmp_path / "run", partial(recorded, configs=["solutions", "pairs"])
    execute(few(4), folder, "build")
    expected = everything(folder)
    for number, name in enumerate(("solutions", "verdicts")):
        part = parts_of(table_path(folder, name))[number]
        if number:
            part.unlink()
        else:
            part.write_bytes(part.read_bytes()[:-10])
        assert execute(few(4), folder, "build")
        assert everything(folder) == expected
    part = parts_of(table_path(folder, "solutions"))[2]
    content = bytearray(part.read_bytes())
    content[4:1500] = bytes(1496)
    part.write_bytes(content)
    with pytest.raises(StageFailed, match=f"{part.name} is damaged"):
        execute(few(4, keep="longest"), folder)


def test_a_bucket_that_is_done_is_not_made_again_and_half_a_bucket_is_none(tmp_path):
    with pytest.raises(ValueError, match="only some documents came: 1 of bucket 2"), \
            TableOutput(tmp_path, (VERDICTS,), 4) as output:
        output.open(0, 2)
        output.write_tables({"verdicts": [VERDICT]}, 0, 5, bucket=2)
    assert not output.has(0) and not output.has(2)
    with TableOutput(tmp_path, (VERDICTS,), 4) as output:
        output.open(0, 2)
        assert output.write_tables({"verdicts": [VERDICT | {"solution_id": "b"}]}, 0, 5, bucket=2) is None
        assert output.write_tables({"verdicts": [VERDICT]}, 0, 3, bucket=2, bucket_size=2) == 2
    assert [output.has(bucket) for bucket in range(4)] == [True, False, True, False]
    verdicts = list(read_rows(parts_path(tmp_path, "verdicts") / "00002.parquet"))
    assert [row["solution_id"] for row in verdicts] == ["a", "b"] and set(verdicts[0]) == set(VERDICTS.schema.names)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to count what is read")
def test_a_rank_reads_its_share_and_little_more(tmp_path):
    ranks, buckets, count = 4, 8, 16_000
    ids = [content_id(number) for number in range(count)]
    made = pa.table({"problem_id": ids, "text": ["".join(content_id(number, n) for n in range(16)) for number in ids]})
    order = sorted(range(count), key=lambda number: shard_of(ids[number], buckets))
    folder = tmp_path / "made"
    parts = [tmp_path / f"{bucket}.parquet" for bucket in range(buckets)]
    pq.write_table(made.take(order), tmp_path / "made.parquet")
    with open_duckdb("256MiB", tmp_path / "spill", {"made": tmp_path / "made.parquet"}) as connection:
        sql = "SELECT *, bucket_of(problem_id, $buckets) AS bucket FROM made ORDER BY bucket"
        assert write_parts(connection, sql, {"buckets": buckets}, parts, made.schema) == count
    install(folder, ((part, part_name(bucket, buckets)) for bucket, part in enumerate(parts)))
    query = Query("SELECT *, file_row_number AS position FROM made", {"made": folder})
    seen = []
    for rank in range(ranks):
        output = TableOutput(tmp_path / "work", (VERDICTS,), buckets)
        before = bytes_read()
        seen += [document.id for document in BucketReader(query, "256MiB", output).run(None, rank, ranks)]
        assert bytes_read() - before < 1.2 * sum(part.stat().st_size for part in parts_of(folder)) / ranks
    assert sorted(seen) == sorted(ids)
    done = parts_path(tmp_path / "work", "verdicts") / "00003.parquet"
    done.parent.mkdir(parents=True)
    done.touch()
    left = [document.id for document in BucketReader(query, "256MiB", output).run(None, 3, ranks)]
    assert {shard_of(problem_id, buckets) for problem_id in left} == {7}, "a bucket whose output is there is not read"


def test_a_bucket_is_done_when_the_parts_of_all_its_tables_are_there(tmp_path):
    output = TableOutput(tmp_path, (VERDICTS, DROPS), 2)
    for table in (VERDICTS, DROPS):
        assert not output.has(1)
        path = parts_path(tmp_path, table.name) / "00001.parquet"
        path.parent.mkdir(parents=True)
        path.touch()
    assert output.has(1) and not output.has(0)


def test_a_table_is_not_divided_where_rows_have_no_problem(tmp_path):
    """The verdict of a solution that is not there has no bucket."""
    write_rows(table_file_path(tmp_path, "solutions"), [
        {**filled("solutions", solution_id="a", problem_id="0" * 32), "generator": "g", "generator_id": "g",
         "sample_index": 0, "solution": "5", "finish_reason": "stop"}], TABLES["solutions"].schema)
    verdicts = [{**filled("verdicts"), **VERDICT, "solution_id": name, "soundness": "unchecked"} for name in "ab"]
    write_rows(table_file_path(tmp_path, "verdicts"), verdicts, VERDICTS.schema)
    with pytest.raises(StageFailed, match="verdicts: 2 rows, but 1 of them have a bucket"):
        list(settle(tmp_path, ["verdicts"], 3, "256MiB", tmp_path / "work"))
    assert list(read_rows(table_path(tmp_path, "verdicts"))) == verdicts


def bytes_read() -> int:
    return int(next(line for line in open("/proc/self/io") if line.startswith("rchar")).split()[1])


MOMENTS = ("generate-*/*/out/solutions", "verify-*/verify/out/verdicts", "judge-*/judge/out/judgements",
           "annotate-*/annotate/out/steps", "build-*/build/configs/weighed")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_in_buckets_that_is_killed_in_its_stages_ends_like_one_that_was_not(small_run, tmp_path):
    folder, recipe = begun(small_run, tmp_path / "small"), tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(in_buckets(4)))
    command = [sys.executable, "-m", "stepforge.pipelines.cli", "run", str(recipe), "--out", str(tmp_path)]
    killed = set()
    for moment in (*MOMENTS, None):
        with (tmp_path / "output").open("w") as output, subprocess.Popen(
                command, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT) as process:
            while process.poll() is None:
                if moment and any((folder / "work").glob(f"{moment}/*.parquet")):
                    process.kill()
                    killed.add(len(read_state(folder)))
                    break
                time.sleep(0.002)
    assert process.returncode == 0, (tmp_path / "output").read_text()
    assert len(killed) > 2, "it was killed in several stages"
    assert without_cache(tables_of(folder)) == without_cache(tables_of(small_run))
    assert without_cache(release_of(folder)) == without_cache(release_of(small_run))
