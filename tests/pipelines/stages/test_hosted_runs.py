"""Whole runs on hosted servers: models that think, requests that fail, two generators in one, keys that are echoed."""

from collections import Counter

import pytest
from helpers.failing_server import Reply, chat, completion, scripted
from helpers.runs import SMALL, execute, rows

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference import client as client_module
from stepforge.pipelines.inference.runner import Completion
from stepforge.pipelines.progress import RUNNING, read_json
from stepforge.pipelines.run_folder import read_state
from stepforge.pipelines.stages.base import Account
from stepforge.pipelines.views.status import headline

KEY = "sk-plan_ted/K3y-that.nobody-sees+0123456789"
SUMS = {f"What is {a} + {a + 4}?": 2 * a + 4 for a in range(11, 15)}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("PLANTED_KEY", KEY)


def recipe(folder, server, problems=SUMS, **options):
    """Sums from a file; release and all, nothing that asks a model but generate."""
    lines = [f'{{"problem": "{problem}", "answer": "{answer}"}}\n' for problem, answer in problems.items()]
    (folder / "sums.jsonl").write_text("".join(lines))
    generator = {"name": "there", "engine": "endpoint", "model": "m", "url": server.url, "samples": 8, **options}
    return SMALL | {"problems": [{"source": "files", "paths": [str(folder / "sums.jsonl")], "license": "MIT"}],
                    "generators": [generator], "judge": None, "annotate": None,
                    "deduplicate": {"near_problems": None},
                    "release": {"splits": {"test": 0}, "to": f"local:{folder / 'published'}",
                                "configs": ["positives", "solutions", "problems"]}}


def asked_sum(body):
    prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
    return next((answer for problem, answer in SUMS.items() if problem in prompt), 0)


def released(folder, config):
    return [row for path in sorted((folder / "release" / config).glob("*.parquet")) for row in read_rows(path)]


THOUGHTS = ("First the tens.", "Let me see.")
KINDS = ("right", "wrong", "cut", "right, another thought")


def think(number, body):
    """What a server with a reasoning parser says; the seed decides which of KINDS it is."""
    answer, kind = asked_sum(body), KINDS[body["seed"] % len(KINDS)]
    if kind == "cut":
        return chat(None, "length", reasoning_content=f"It may be \\boxed{{{answer}}}. But")
    thought = THOUGHTS[kind == "right, another thought"]
    return chat(f"The answer is {answer + (kind == 'wrong')}", reasoning_content=thought)


def test_run_of_a_model_that_thinks(tmp_path):
    with scripted({"": think}) as server:
        execute(recipe(tmp_path, server, api="chat"), tmp_path / "run")
        kinds = [(asked_sum(body), KINDS[body["seed"] % len(KINDS)]) for body in server.bodies]
    assert len(kinds) == 32 and {kind for _, kind in kinds} == set(KINDS)
    solutions = released(tmp_path / "run", "solutions")
    assert len(solutions) == 32
    cut = [row for row in solutions if row["finish_reason"] == "length"]
    assert len(cut) == sum(kind == "cut" for _, kind in kinds)
    assert {(row["verdict"], row["reason"], row["complete"]) for row in cut} == {("undecided", "truncated", False)}
    assert all(row["solution"].startswith("<think>") and "</think>" not in row["solution"] for row in cut)
    whole = [row["solution"] for row in solutions if row["complete"]]
    assert {text.partition("The")[0] for text in whole} == {f"<think>{thought}</think>" for thought in THOUGHTS}
    texts = {(row["problem_id"], row["completion"]) for row in released(tmp_path / "run", "positives")}
    assert texts and all("</think>The answer is" in completion for _, completion in texts)
    right = Counter(answer for answer, kind in kinds if kind.startswith("right"))
    for problem in released(tmp_path / "run", "problems"):
        (rate,) = problem["generators"]
        assert (rate["n_samples"], rate["n_correct"]) == (8, right[SUMS[problem["problem"]]])
        assert rate["pass_rate"] == rate["n_correct"] / 8
    thoughts = Counter(row["duplicate"] for row in solutions if row["verdict"] == "correct")
    assert thoughts[False] > len(SUMS), "two thoughts that reach one answer are two solutions"


def test_thoughts_in_a_column_reach_the_release(tmp_path):
    with scripted({"": think}) as server:
        execute(recipe(tmp_path, server, api="chat", thoughts="column"), tmp_path / "run")
    solutions = released(tmp_path / "run", "solutions")
    assert {row["thought"] for row in solutions if row["complete"]} == set(THOUGHTS)
    assert not any("think" in row["solution"] for row in solutions)


def test_tokens_of_a_server_that_counts_only_some_answers(tmp_path):
    """Every third answer comes without usage: the total says of how many requests it is."""
    def script(number, body):
        reply = completion(f"The answer is {asked_sum(body)}")
        return Reply(body=reply.body | {"usage": None}) if body["seed"] % 3 == 0 else reply

    with scripted({"": script}) as server:
        asked = recipe(tmp_path, server)
        execute(asked | {"release": asked["release"] | {"splits": {"test": 1e-6}}}, tmp_path / "run")
        counted = sum(body["seed"] % 3 > 0 for body in server.bodies)
    (tokens,) = [row for row in rows(tmp_path / "run", "measures")
                 if row["measure"] == "generate_completion_tokens" and row["by"] == "all"]
    assert 0 < counted < 32 and (tokens["value"], tokens["n"]) == (12 * counted, counted)
    (warning,) = read_state(tmp_path / "run")["build"]["facts"]["warnings"]
    assert warning.startswith("release.splits.test: 1e-06 of the problems are asked for, and none is there")


@pytest.mark.parametrize("rest", ["\n\nQuestion:", "\n\nQuestion: What is 1 + 1?\nThe answer is 2"])
def test_stop_string_that_the_server_sends_along_or_does_not_heed(rest, tmp_path):
    def script(number, body):
        assert body["stop"] == ["\n\nQuestion:"]
        return completion(f"The answer is {asked_sum(body)}{rest}", "stop" if rest.endswith(":") else "length")

    with scripted({"": script}) as server:
        for _ in range(2):                       # from the server, then from the journal
            execute(recipe(tmp_path, server, samples=2, stop=["\n\nQuestion:"]), tmp_path / "run", "generate")
            (tmp_path / "run" / "state.json").unlink()
    assert len(server.bodies) == 8
    ends = {(row["solution"], row["complete"]) for row in rows(tmp_path / "run", "solutions")}
    assert ends == {(f"The answer is {answer}", True) for answer in SUMS.values()}


def test_the_first_of_several_stop_strings_ends_a_text():
    whole = Completion("a\n\nQ: b END c", "length", 5, 1, None, token_ids=[1, 2, 3, 4, 5])
    cut = whole.up_to(["END", "\n\nQ:", ""])
    assert (cut.text, cut.complete, cut.token_ids) == ("a", True, None) and whole.up_to(["#"]) is whole


def test_release_waits_for_failed_requests_and_comes_with_their_answers(tmp_path):
    broken = {"now": True}

    def script(number, body):
        if broken["now"] and "11 + 15" in body["prompt"]:
            return Reply(500, "out of memory")
        return completion(f"The answer is {asked_sum(body)}")

    with scripted({"": script}) as server:
        asked = recipe(tmp_path, server, samples=2)
        for _ in range(2):
            with pytest.raises(StageFailed, match="build waits: 2 requests of generate.*out of memory.*allow_failed"):
                execute(asked, tmp_path / "run")
            assert len(rows(tmp_path / "run", "solutions")) == 6
            stopped = read_json(tmp_path / "run" / RUNNING) or {}
            assert "stopped in build" in (line := str(headline(tmp_path / "run", stopped))) and "allow_failed" in line
        assert not (tmp_path / "published").exists() and not (tmp_path / "run/release").exists()
        broken["now"] = False
        ran = execute(asked, tmp_path / "run")
        assert {"generate", "build", "publish"} <= set(ran) and (tmp_path / "published" / "v1.0.0").exists()
        assert len(released(tmp_path / "run", "solutions")) == 8


def test_release_without_failed_requests_where_the_recipe_allows_it(tmp_path):
    with scripted({"11": lambda number, body: Reply(500)}) as server:
        server.modes = {"": lambda number, body: Reply(500) if "11 + 15" in body["prompt"] else completion()}
        asked = recipe(tmp_path, server, samples=2)
        execute(asked | {"release": asked["release"] | {"allow_failed": True}}, tmp_path / "run")
    assert (tmp_path / "published" / "v1.0.0").exists() and len(released(tmp_path / "run", "solutions")) == 6


def test_run_in_which_nothing_comes_stops_with_a_reason(tmp_path):
    """Each request is refused, and the server is alive: the one for a single token is answered."""
    def script(number, body):
        return completion() if body["max_tokens"] == 1 else Reply(400, "the moon is wrong")

    with scripted({"": script}) as server:
        with pytest.raises(StageFailed, match="none of 8 solutions.*'error': 8.*the moon is wrong"):
            execute(recipe(tmp_path, server, samples=2), tmp_path / "run")
    assert not (tmp_path / "published").exists()


def test_what_a_filter_refuses_is_dropped_and_asked_once(tmp_path):
    def script(number, body):
        return Reply(400, "content_filter") if "11 + 15" in body["prompt"] else completion()

    with scripted({"": script}) as server:
        asked = recipe(tmp_path, server, samples=2)
        execute(asked, tmp_path / "run", "verify")
        assert [row["reason"] for row in rows(tmp_path / "run", "drops/generate")] == ["filtered", "filtered"]
        count = len(server.bodies)
        assert execute(asked, tmp_path / "run", "verify") == [] and len(server.bodies) == count


def test_two_generators_that_are_one_are_refused_before_anything_is_asked(tmp_path):
    with scripted({}) as one, scripted({}) as other:
        asked = recipe(tmp_path, one)
        twin = asked["generators"][0] | {"name": "elsewhere", "url": other.url}
        with pytest.raises(UserError, match="'there' and 'elsewhere' are the same.*`revision`"):
            execute(asked | {"generators": [*asked["generators"], twin]}, tmp_path / "run")
        assert not one.bodies and not other.bodies and not (tmp_path / "run/tables").exists()
        apart = [asked["generators"][0] | {"samples": 1}, twin | {"revision": "b", "samples": 1}]
        execute(asked | {"generators": apart}, tmp_path / "run", "generate")
        assert len(one.bodies) == len(other.bodies) == len(SUMS)


@pytest.mark.parametrize("account", [Account(8, 24, {"lost": -16}), Account(-1, -1), Account(0, -2, {"extra": 2})])
def test_account_with_negative_rows_is_refused(account):
    with pytest.raises(StageFailed, match="no number of rows is negative"):
        account.check("generate")


@pytest.mark.parametrize("leak", [
    lambda number, body: Reply(401, f"no such key: {KEY}"),
    lambda number, body: Reply(400, "x" * 280 + KEY) if "11" in body["prompt"] else completion(),
    lambda number, body: completion(f"my key is {KEY}") if "11" in body["prompt"] else completion(),
    lambda number, body: completion(finish=KEY) if "11" in body["prompt"] else completion(),
    lambda number, body: None,
], ids=["401", "where an error is cut", "in a completion", "in a reason", "hangs up"])
def test_key_reaches_no_file_of_a_run(leak, tmp_path):
    """Logs, tables, journals, state: neither the key nor a piece of it, whatever the server echoes."""
    with scripted({"": leak}) as server, pytest.raises(StageFailed) as stopped:
        execute(recipe(tmp_path, server, samples=1, key_variable="PLANTED_KEY"), tmp_path / "run")
    texts = [str(stopped.value).encode(), *(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())]
    assert len(texts) > 8 and any(word in texts[0] for word in (b"(key)", b"holds the API key", b"not answer any"))
    for text in texts:
        assert not any(piece.encode() in text for piece in (KEY, KEY[:10], KEY[10:22], KEY[-10:]))
