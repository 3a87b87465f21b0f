"""What is done is not done again, what changed is, and what was paid for is never thrown away."""

import copy
import json
import os
import shutil
import socket
import threading
import time
from dataclasses import replace
from typing import get_args

import pytest
from helpers.openai_server import Behaviour, serving
from helpers.runs import SMALL, execute, rows

from stepforge.builders.errors import UserError
from stepforge.builders.sql import query_rows
from stepforge.pipelines import plan, progress
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference import client
from stepforge.pipelines.inference.embedded import SamplerProcess
from stepforge.pipelines.options.executor import AskingStage, ShardedStage
from stepforge.pipelines.recipe import Recipe, load_recipe
from stepforge.pipelines.run_folder import read_run
from stepforge.pipelines.stages.base import Account, tabulate_spent

LATE = ["build", "card", "publish"]


@pytest.fixture
def run_folder(small_run, tmp_path):
    return shutil.copytree(small_run, tmp_path / "small")


def changed(**parts):
    recipe = copy.deepcopy(SMALL)
    for name, options in parts.items():
        recipe[name] = options if isinstance(options, list) else recipe[name] | options
    return recipe


def journal_lines(folder, kind):
    return sum(len(path.read_bytes().splitlines()) for path in (folder / kind).glob("*/*.jsonl"))


def texts(folder, table):
    """Rows without what depends on the engine's cache."""
    table_rows = rows(folder, table)
    for row in table_rows:
        row.pop("cached_prompt_tokens", None)
    return table_rows


def test_finished_run_runs_nothing(run_folder):
    assert execute(SMALL, run_folder) == []


def test_release_option_reruns_the_release_alone(run_folder):
    assert execute(changed(release={"max_pairs_per_problem": 1}), run_folder) == LATE


def test_executor_settings_rerun_nothing(run_folder):
    assert execute(changed(executor={"tasks": 3}), run_folder) == []


def test_missing_table_is_made_again(run_folder):
    (run_folder / "tables" / "verdicts.parquet").unlink()
    before = rows(run_folder, "solutions")
    assert execute(SMALL, run_folder) == ["verify"]
    assert len(rows(run_folder, "verdicts")) == len(before)


def test_more_samples_generate_only_the_missing_ones(run_folder):
    before = {row["solution_id"]: row["solution"] for row in rows(run_folder, "solutions")}
    assert journal_lines(run_folder, "generated") == 72
    execute(changed(generators=[SMALL["generators"][0] | {"samples": 8}]), run_folder, "generate")
    after = {row["solution_id"]: row["solution"] for row in rows(run_folder, "solutions")}
    assert journal_lines(run_folder, "generated") == 96
    assert len(after) == 96 and before.items() <= after.items()


def test_more_problems_and_rollouts_add_only_what_is_missing(run_folder):
    before = {row["rollout_id"] for row in rows(run_folder, "rollouts")}
    execute(changed(annotate={"rollouts": 6}), run_folder, "annotate")
    after = {row["rollout_id"] for row in rows(run_folder, "rollouts") if row["origin"] == "prefix"}
    kept = {row["rollout_id"] for row in rows(run_folder, "rollouts")}
    assert len(kept & before) > 0.6 * len(before) and after - before
    lines = journal_lines(run_folder, "rollouts")
    assert lines == len(before | kept), "every rollout was made exactly once"


def test_other_temperature_is_another_generator(run_folder):
    execute(changed(generators=[SMALL["generators"][0] | {"temperature": 0.9}]), run_folder, "generate")
    assert len(list((run_folder / "generated").iterdir())) == 2
    assert len({row["generator_id"] for row in rows(run_folder, "solutions")}) == 1


def test_number_of_tasks_does_not_change_the_tables(run_folder, tmp_path):
    execute(changed(executor={"tasks": 3}), tmp_path / "other", "annotate")
    for table in ("solutions", "verdicts", "steps", "rollouts", "alternatives"):
        assert texts(run_folder, table) == texts(tmp_path / "other", table), table


def test_second_process_is_refused(run_folder):
    with plan.locked(run_folder), pytest.raises(UserError, match="another process"):
        execute(SMALL, run_folder)


def test_account_that_does_not_add_up_is_an_error():
    Account(10, 8, {"error": 2}).check("generate")
    with pytest.raises(StageFailed, match="10 rows in, but 8 out and 1 dropped"):
        Account(10, 8, {"error": 1}).check("generate")


def test_failed_requests_are_asked_again_until_they_are_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(client, "LONGEST_PAUSE_SECONDS", 0.02)
    ending = "How many"
    recipe = {"name": "r", "problems": [{"source": "arithmetic", "limit": 4, "steps": [3, 4]}],
              "release": {"splits": {}, "allow_failed": True}, "executor": {"tasks": 1, "workers": 1}}

    def generators(url):
        return [{"name": "e", "engine": "endpoint", "url": url, "model": "tiny", "samples": 2, "max_tokens": 96}]

    def asked(server):
        return [body for body in server.seen if body["max_tokens"] == 96]  # the others ask what the server can do

    execute(recipe | {"generators": [{"name": "t", "engine": "embedded", "samples": 1}]}, tmp_path / "problems")
    poison = rows(tmp_path / "problems", "problems")[0]["problem"].split(ending)[0]
    with serving(Behaviour(poison=poison)) as server:
        execute(recipe | {"generators": generators(server.url)}, tmp_path / "run")
        assert plan.read_state(tmp_path / "run")["generate"]["failed"] == 2
        assert execute(recipe | {"generators": generators(server.url)}, tmp_path / "run") == ["generate"]
        assert len(asked(server)) == 6, "what was answered is not asked again"
    with serving() as server:
        items = plan.plan(Recipe.model_validate(recipe | {"generators": generators(server.url)}), tmp_path / "run")
        reasons = {item.stage.name: item.reason for item in items}
        assert reasons["generate"] == "2 requests got no answer and are asked again"
        ran = execute(recipe | {"generators": generators(server.url)}, tmp_path / "run")
        assert {"generate", "verify", "deduplicate", "measure", "build", "card"} <= set(ran)
        assert len(asked(server)) == 2
        assert len(rows(tmp_path / "run", "verdicts")) == 8
        assert execute(recipe | {"generators": generators(server.url)}, tmp_path / "run") == []


def test_a_killed_sampler_stops_the_run_and_the_next_one_finishes_it(run_folder, tmp_path, monkeypatch):
    """As the kernel kills it when memory runs out."""
    sent, submit = [], SamplerProcess.submit

    def deadly(self, payload):
        sent.append(payload)
        if len(sent) == 40:
            self.close()
        return submit(self, payload)

    monkeypatch.setattr(SamplerProcess, "submit", deadly)
    with pytest.raises(StageFailed, match="generate"):
        execute(SMALL, tmp_path / "other", "annotate")
    execute(SMALL, tmp_path / "other", "annotate")
    for table in ("solutions", "verdicts", "steps", "rollouts", "alternatives"):
        assert texts(run_folder, table) == texts(tmp_path / "other", table), table


def test_plan_tells_why_a_stage_would_run(run_folder):
    recipe = Recipe.model_validate(changed(annotate={"rollouts": 9}))
    reasons = {item.stage.name: item.reason for item in plan.plan(recipe, run_folder)}
    assert reasons["verify"] is None and reasons["annotate"] == "changed: `annotate.rollouts` (4 before, 9 now)"
    assert reasons["build"] == "its input changed: annotate, measure"


def test_plan_names_the_options_that_changed_for_a_stage_and_no_others(run_folder):
    options = changed(annotate={"rollouts": 9}, release={"max_pairs_per_problem": 3, "splits": {"test": 0.4}})
    options["generators"] = [SMALL["generators"][0] | {"samples": 7}, {"name": "second", "engine": "embedded"}]
    reasons = {item.stage.name: item.reason for item in plan.plan(Recipe.model_validate(options), run_folder)}
    assert "`generators.0.samples` (6 before, 7 now), `generators.1` (absent before" in reasons["generate"]
    assert "rollouts" not in reasons["generate"] and "generators.0" not in reasons["annotate"]
    assert "`release.splits.test` (0.3 before, 0.4 now)" in reasons["build"] and "rollouts" not in reasons["build"]
    less = {item.stage.name: item.reason for item in plan.plan(Recipe.model_validate(
        {key: value for key, value in SMALL.items() if key != "judge"}), run_folder)}
    assert "`judge`" in less["judge"] and "splits" not in str(less) and less["generate"] is None
    (run_folder / "recipes/build.yaml").unlink()  # a run of an older version of the tool
    assert "splits" not in {item.stage.name: item.reason for item in plan.plan(Recipe.model_validate(options),
                                                                              run_folder)}["build"]


def test_the_settings_of_stages_are_computed_once_for_a_run(run_folder, monkeypatch):
    """They read prompts, models and the hashes of files."""
    asked = []
    stages = tuple(replace(stage, settings=lambda recipe, stage=stage: asked.append(stage.name) or stage.settings(
        recipe)) for stage in plan.STAGES)
    monkeypatch.setattr(plan, "STAGES", stages)
    assert execute(changed(release={"max_pairs_per_problem": 1}), run_folder) == LATE
    assert sorted(asked) == sorted(stage.name for stage in stages)


def test_names_in_the_options_are_those_of_the_records():
    asking = {stage.name: stage.journal for stage in plan.STAGES if stage.journal}
    assert set(asking) == {*get_args(AskingStage), "verify"} and len(set(asking.values())) == len(asking)
    assert set(get_args(ShardedStage)) <= {stage.name for stage in plan.STAGES}


def test_a_stage_reads_stages_before_it_alone():
    before: set[str] = set()
    for stage in plan.STAGES:
        assert set(stage.inputs) <= before, stage.name
        before.add(stage.name)


def test_what_was_spent_is_what_the_engines_said(small_run):
    """By generator and stage, from the tables; the accounts of the stages hold the same sums."""
    state, spent = plan.read_state(small_run), {}
    with read_run(small_run).duckdb("problems", "solutions", "drafts", "judgements", "rollouts") as connection:
        tabulate_spent(connection, plan.STAGES, load_recipe(small_run / "recipe.yaml"))
        for row in query_rows(connection, "SELECT stage, sum(completion_tokens)::BIGINT AS n FROM spent GROUP BY 1"):
            spent[row["stage"]] = row["n"]
    assert spent == {name: state[name]["ledger"]["completion_tokens"] for name in ("generate", "judge", "annotate")}


def test_a_table_with_flipped_bits_is_named_and_made_again_once_it_is_deleted(run_folder):
    table = run_folder / "tables" / "solutions.parquet"
    whole, before = table.read_bytes(), rows(run_folder, "solutions")
    broken = bytearray(whole)
    for place in range(len(whole) // 4, len(whole) // 2, 97):
        broken[place] ^= 0x55
    table.write_bytes(broken)
    with pytest.raises(UserError, match=r"solutions\.parquet is damaged .*Delete it"):
        execute({**SMALL, "verify": {"timeout_s": 4}}, run_folder)
    with pytest.raises(UserError, match=r"solutions\.parquet is damaged"):
        query = "SELECT solution, completion_tokens FROM solutions"
        with read_run(run_folder).duckdb("solutions") as connection:
            connection.execute(query).fetchall()
    table.unlink()
    assert execute(SMALL, run_folder) == ["generate"]
    assert rows(run_folder, "solutions") == before


def test_a_run_on_another_machine_is_seen_by_its_pulse_where_no_lock_is_shared(tmp_path, monkeypatch):
    """Network file systems may be mounted without locks. A run that was killed there stands in nobody's way."""
    monkeypatch.setattr(progress, "PULSE_SECONDS", 0.5)
    running, stop = tmp_path / "running.json", threading.Event()

    def beat(pulse=0):
        while not stop.wait(0.05):
            pulse += 1
            state = {"state": "running", "host": "node\x1b7", "pid": 12, "pulse": pulse}
            (tmp_path / "new").write_text(json.dumps(state))
            (tmp_path / "new").replace(running)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        while not running.exists():
            time.sleep(0.01)
        with pytest.raises(UserError, match=r"runs in .*: process 12 on node[^\x1b]7; wait"), plan.locked(tmp_path):
            pass
    finally:
        stop.set()
        beating.join()
    with plan.locked(tmp_path):  # its last word stays, and no pulse follows
        pass


def test_a_second_run_in_a_folder_is_refused_and_told_who_holds_it(tmp_path):
    """Two runs would write one journal. What a holder leaves behind does not stand in the next one's name."""
    (tmp_path / ".lock").write_text("x" * 300)
    with plan.locked(tmp_path):
        holder = f"process {os.getpid()} on {socket.gethostname()}; wait for it"
        with pytest.raises(UserError, match=f"another process runs in .*: {holder}"), plan.locked(tmp_path):
            pass
    with plan.locked(tmp_path):
        pass
