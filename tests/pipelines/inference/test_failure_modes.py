"""What servers do, mode by mode: what is recorded of it, how often it is asked, what the user is told.

Every mode is one problem of one run over real HTTP, so each shows that the others go on beside it. The run is then
repeated: what was answered for good is not asked again, what failed is.
"""

import json
import re
from typing import Any, NamedTuple

import pytest
from datatrove.data import Document
from datatrove.pipeline.inference.types import ServerError
from helpers.failing_server import GOOD, Server, chat, completion, scripted
from helpers.failure_modes import CHATS, COMPLETIONS, ENDS, ESCAPED, KEY, Dropped, Mode, Recorded, always, error

from stepforge.builders.parquet import read_rows
from stepforge.builders.tables import DROPS, SOLUTIONS, content_id
from stepforge.pipelines.inference import client as client_module
from stepforge.pipelines.inference.output import TableOutput, parts_path
from stepforge.pipelines.inference.runner import Runner
from stepforge.pipelines.options.generators import EndpointGenerator
from stepforge.pipelines.stages.generate import sample_problem


class Outcome(NamedTuple):
    """What two runs made of every mode, and how often they asked."""

    solutions: list[dict[str, dict]]
    drops: list[dict[str, dict]]
    asked: list[dict[str, int]]
    files: bytes


@pytest.fixture(scope="module", autouse=True)
def short_pauses():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "FIRST_PAUSE_SECONDS", 0.001)
        patch.setattr(client_module, "LONGEST_PAUSE_SECONDS", 0.01)
        patch.setenv("PLANTED_KEY", KEY)
        yield


def endpoint(server: Server, **options: Any) -> EndpointGenerator:
    return EndpointGenerator(engine="endpoint", name="there", url=server.url, model="m", samples=1, answer_mib=1,
                             key_variable="PLANTED_KEY", concurrency=16, **options)


def sample(folder, generator: EndpointGenerator, names: list[str]) -> tuple[dict[str, dict], dict[str, dict]]:
    """One solution of a problem that names each mode; rows of `solutions` and of `drops` by mode."""
    async def rollout(document, generate):
        return await sample_problem(document, generate, generator=generator, seed=0, first=0)

    ids = {content_id(name): name for name in names}
    documents = [Document(text="", id=id_, metadata={"problem": f"Mode <{name}> 17 + 25?", "position": number})
                 for number, (id_, name) in enumerate(ids.items())]
    output = TableOutput(folder / "work", (SOLUTIONS, DROPS))
    Runner(rollout, generator, folder / "journal", output).run(iter(documents), 0, 1)
    tables = [list(read_rows(parts_path(folder / "work", table) / "00000.parquet"))
              for table in ("solutions", "drops")]
    return ({ids[row["problem_id"]]: row for row in tables[0]},
            {ids[row["row_id"].split(":")[1]]: row for row in tables[1]})


def twice(folder, modes: dict[str, Mode], **options: Any) -> Outcome:
    outcome = Outcome([], [], [], b"")
    with scripted({name: mode.script for name, mode in modes.items()}) as server:
        for _ in range(2):
            server.asked.clear()
            solutions, drops = sample(folder, endpoint(server, **options), list(modes))
            outcome.solutions.append(solutions)
            outcome.drops.append(drops)
            outcome.asked.append(dict(server.asked))
    return outcome._replace(files=b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file()))


@pytest.fixture(scope="module")
def completions(tmp_path_factory) -> Outcome:
    return twice(tmp_path_factory.mktemp("completions"), COMPLETIONS)


@pytest.fixture(scope="module")
def chats(tmp_path_factory) -> Outcome:
    return twice(tmp_path_factory.mktemp("chats"), CHATS, api="chat")


@pytest.mark.parametrize("name", COMPLETIONS)
def test_mode_of_completions(name, completions):
    compare(name, COMPLETIONS[name], completions)


@pytest.mark.parametrize("name", CHATS)
def test_mode_of_chat(name, chats):
    compare(name, CHATS[name], chats)


def compare(name: str, mode: Mode, outcome: Outcome) -> None:
    """One row or one drop in each run, as the mode says, for as many requests as it says."""
    expected = mode.becomes
    for solutions, drops in zip(outcome.solutions, outcome.drops, strict=True):
        if isinstance(expected, Recorded):
            row = solutions[name]
            assert name not in drops
            assert Recorded(row["solution"], row["finish_reason"], row["complete"],
                            (row["prompt_tokens"], row["completion_tokens"]),
                            (row["logprob_sum"], row["logprob_mean"])) == expected
            assert row["completion_ids"] is None
        else:
            assert name not in solutions
            assert drops[name]["reason"] == expected.reason
            assert_told(expected.words, drops[name]["detail"])
    assert outcome.asked[0][name] == mode.asked
    again = isinstance(expected, Dropped) and expected.again
    assert (outcome.asked[1].get(name, 0) > 0) == again


def assert_told(words: str, message: str) -> None:
    assert re.search(words, message, re.S), message


def test_there_are_modes_enough_and_none_is_lost(completions, chats):
    for modes, outcome in ((COMPLETIONS, completions), (CHATS, chats)):
        for solutions, drops in zip(outcome.solutions, outcome.drops, strict=True):
            assert solutions.keys() | drops.keys() == modes.keys() and not solutions.keys() & drops.keys()
    assert len(COMPLETIONS) + len(CHATS) + len(ENDS) >= 60


def test_key_is_in_no_file_whole_or_begun(completions):
    assert len(completions.files) > 10_000
    for spelling in (KEY, ESCAPED, json.dumps(ESCAPED), KEY.replace("/", "%2F"), KEY[:8], KEY[10:20], KEY[-10:]):
        assert spelling.encode() not in completions.files, spelling


@pytest.mark.parametrize("name", ENDS)
def test_server_of_no_use_ends_the_rank(name, tmp_path):
    end = ENDS[name]
    script = end.reply if callable(end.reply) else always(end.reply)
    with scripted({"": script}) as server:
        with pytest.raises(ServerError) as ended:
            sample(tmp_path, endpoint(server), ["one"])
        assert_told(end.words, str(ended.value))
        assert end.asked in (None, server.asked[""])
    assert KEY[:8] not in str(ended.value)


@pytest.mark.parametrize("name, options", [
    ("refuses seed", {"omit": ["seed"]}), ("refuses temperature", {"omit": ["temperature", "top_p"]}),
    ("calls max_tokens otherwise", {"rename": {"max_tokens": "max_completion_tokens", "seed": "random_seed"}}),
])
def test_the_advice_helps(name, options, tmp_path):
    with scripted({"": ENDS[name].reply}) as server:
        solutions, drops = sample(tmp_path, endpoint(server, **options), ["one"])
        assert solutions["one"]["solution"] == GOOD and not drops
        sent = set(server.bodies[0])
    assert not sent & {*options.get("omit", ()), *options.get("rename", {})}
    assert set(options.get("rename", {}).values()) <= sent


def test_server_that_is_alive_but_thinks_is_no_dead_server(tmp_path):
    """Its answer to the probe of one token is cut in the thought, as every answer is; one request fails for good."""
    def script(number, body):
        return error(500, "poison") if "<bad>" in str(body) else chat(None, "length", reasoning_content="hm")

    with scripted({"bad": script, "": script}) as server:
        solutions, drops = sample(tmp_path, endpoint(server, api="chat", rename={"max_tokens": "most"}), ["bad"])
        assert server.bodies[-1]["most"] == 1 and "max_tokens" not in server.bodies[-1]
    assert not solutions and drops["bad"]["reason"] == "error" and "500" in drops["bad"]["detail"]


@pytest.mark.parametrize("echoes, expected", [(True, " 42"), (False, None)])
def test_echoed_prompt_is_cut_where_the_server_echoes_always(echoes, expected, tmp_path):
    """A model that repeats the problem by itself is left alone; which of the two it is, one request finds out."""
    def script(number, body):
        return completion(body["prompt"] + " 42" if echoes or "<" in body["prompt"] else "42",
                          logprobs={"token_logprobs": [-1.0]})

    with scripted({"": script}) as server:
        solutions, _ = sample(tmp_path, endpoint(server), ["one", "two"])
        assert server.asked[""] == 3
    assert solutions["one"]["solution"] == (expected or "Mode <one> 17 + 25?\n 42")
    assert solutions["one"]["logprob_sum"] == (None if echoes else -1.0), "an echo's are those of the prompt, too"


@pytest.mark.parametrize("kept, solution, thought", [
    ("inline", f"<think>hm</think>{GOOD}", None), ("column", GOOD, "hm"), ("drop", GOOD, None)])
def test_thoughts_are_kept_where_the_recipe_says(kept, solution, thought, tmp_path):
    modes = {"told apart": chat("\n\n" + GOOD if kept != "inline" else GOOD, reasoning="hm"),
             "between tags": chat(f"<think>hm</think>{GOOD}"), "cut": chat(None, "length", reasoning="hm")}
    with scripted({name: always(reply) for name, reply in modes.items()}) as server:
        solutions, _ = sample(tmp_path, endpoint(server, api="chat", thoughts=kept), list(modes))
    for name in ("told apart", "between tags"):
        assert (solutions[name]["solution"], solutions[name]["thought"]) == (solution, thought)
    assert (solutions["cut"]["solution"], solutions["cut"]["thought"], solutions["cut"]["complete"]) == (
        "<think>hm" if kept == "inline" else "", thought, False)


def test_thought_that_the_prompt_opens_and_that_was_cut_is_open(tmp_path):
    """The text shows no tag at all, and a box in it is no answer."""
    modes = {"cut": always(completion(r"so \boxed{42}. But", "length", token_ids=[1, 2])),
             "whole": always(completion("hm</think>42", token_ids=[1, 2]))}
    with scripted(modes) as server:
        solutions, _ = sample(tmp_path, endpoint(server, prompt="{{ problem }}<think>\n"), list(modes))
    cut, whole = solutions["cut"], solutions["whole"]
    assert (cut["solution"], cut["completion_ids"]) == (r"<think>so \boxed{42}. But", None)
    assert (whole["solution"], whole["completion_ids"]) == ("hm</think>42", [1, 2])


def test_log_probabilities_are_asked_for_where_the_recipe_wants_them(tmp_path):
    with scripted({}) as server:
        sample(tmp_path / "a", endpoint(server, logprobs=True), ["one"])
        sample(tmp_path / "b", endpoint(server, logprobs=True, api="chat"), ["one"])
        sample(tmp_path / "c", endpoint(server), ["one"])
        assert [body.get("logprobs") for body in server.bodies] == [1, True, None]
