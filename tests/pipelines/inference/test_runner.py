"""The traps of the base runner, each closed in ours. Servers here answer from memory; all else is real."""

import asyncio
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.inference.types import InferenceError
from datatrove.pipeline.writers import JsonlWriter
from helpers.scripted import ReadyServer

from stepforge.builders.parquet import read_rows
from stepforge.builders.tables import Table
from stepforge.pipelines.inference import runner as runner_module
from stepforge.pipelines.inference.output import TableOutput, parts_path
from stepforge.pipelines.inference.runner import Request, Runner, completions_of
from stepforge.pipelines.options.generators import EmbeddedGenerator

GENERATOR = EmbeddedGenerator(engine="embedded", name="tiny")
TEXTS, NUMBERS = pa.list_(pa.string()), pa.list_(pa.int64())
FOUR = Table("answers", ("id",), pa.schema([("id", pa.string()), ("texts", TEXTS), ("error", pa.string())]))
TWO = Table("answers", ("text",), pa.schema([
    ("text", pa.string()), ("ids", NUMBERS), ("tokens", pa.int64()), ("prompt", pa.int64()), ("cached", pa.int64())]))


@dataclass
class Script:
    """What the server does: answers by seed, counts calls, fails where it is told to."""

    fail: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)


class ScriptedServer(ReadyServer):
    script = Script()

    async def _make_request(self, payload):
        seed = payload.get("seed", len(self.script.calls))
        self.script.calls.append(seed)
        if error := self.script.fail.pop(seed, None):
            raise error
        texts = [f"text {seed}.{j}" for j in range(payload.get("n", 1))]
        choices = [{"text": text, "finish_reason": "stop", "token_ids": [seed, j]} for j, text in enumerate(texts)]
        return {"choices": choices,
                "usage": {"prompt_tokens": 5, "completion_tokens": 2 * len(texts),
                          "prompt_tokens_details": {"cached_tokens": 3}}}


@pytest.fixture
def script(monkeypatch):
    ScriptedServer.script = Script()
    monkeypatch.setattr(runner_module, "make_server", lambda generator, config, rank, *_: ScriptedServer(config, rank))
    monkeypatch.setattr(runner_module, "FIRST_PAUSE_SECONDS", 0.001)
    return ScriptedServer.script


async def four_samples(document, generate, n=1):
    base = document.metadata["position"] * 10
    requests = [Request(f"{document.id}-{i}", {"prompt": "p", "seed": base + i, "n": n}) for i in range(4)]
    answers = await asyncio.gather(*map(generate, requests))
    return {"answers": [{"id": document.id, "texts": [c.text for c in a], "error": a[0].error} for a in answers]}


async def two_choices(document, generate):
    (answer,) = [await generate(Request(document.id, {"prompt": "p", "seed": 1, "n": 2}))]
    return {"answers": [{"text": c.text, "ids": c.token_ids, "tokens": c.completion_tokens,
                           "prompt": c.prompt_tokens, "cached": c.cached_prompt_tokens} for c in answer]}


def documents(count):
    return [Document(text="", id=f"{i:032x}", metadata={"position": i}) for i in range(count)]


def run(folder, rollout, count=3, table=FOUR):
    output = TableOutput(folder / "work", (table,))
    Runner(rollout, GENERATOR, folder / "journal", output).run(iter(documents(count)), 0, 1)
    return list(read_rows(parts_path(folder / "work", "answers") / "00000.parquet"))


def test_all_choices_and_tokens_are_kept(tmp_path, script):
    rows = run(tmp_path, two_choices, 1, TWO)
    assert [row["text"] for row in rows] == ["text 1.0", "text 1.1"]
    assert [row["ids"] for row in rows] == [[1, 0], [1, 1]]
    assert [(row["tokens"], row["prompt"], row["cached"]) for row in rows] == [(2, 5, 3), (2, 0, 0)]


def test_failed_request_is_a_record_and_others_go_on(tmp_path, script):
    script.fail = {11: ValueError("prompt too long")}
    rows = run(tmp_path, four_samples)
    assert len(rows) == 12 and [row["error"] for row in rows if row["error"]] == ["ValueError: prompt too long"]


def test_lost_connection_is_tried_again(tmp_path, script):
    script.fail = {0: ConnectionError("reset")}
    rows = run(tmp_path, four_samples, 1)
    assert script.calls.count(0) == 2 and all(row["error"] is None for row in rows)


def test_second_run_asks_for_nothing_but_what_failed(tmp_path, script):
    script.fail = {11: ValueError("no"), 21: ValueError("no")}
    run(tmp_path, four_samples)
    script.calls.clear()
    rows = run(tmp_path, four_samples)
    assert sorted(script.calls) == [11, 21]
    assert sorted(text for row in rows for text in row["texts"]) == sorted(
        f"text {10 * d + i}.0" for d in range(3) for i in range(4))


def test_resume_after_a_crash_keeps_samples_distinct(tmp_path, script):
    async def crashes(document, generate):
        rows = await four_samples(document, generate)
        if document.metadata["position"] == 1:
            raise KeyError("a bug")
        return rows

    with pytest.raises(InferenceError):
        run(tmp_path, crashes, 2)
    rows = run(tmp_path, four_samples, 2)
    texts = [row["texts"][0] for row in rows]
    assert len(set(texts)) == len(texts) == 8
    assert len(script.calls) == 8, "nothing was asked for twice"


def test_base_runner_collapses_repeated_samples_on_resume(tmp_path, script, monkeypatch):
    """What we guard against: four identical requests, a crash, and the base runner gives one answer four times."""
    crash = {"now": True}

    async def naive(document, generate):
        results = [await generate({"prompt": "p"}) for _ in range(4)]
        await asyncio.sleep(0.3)  # let the base class's cache reach its file
        if crash["now"]:
            raise KeyError("a crash")
        return [result.text for result in results]

    def base_run():
        config = InferenceConfig(server_type="custom", model_name_or_path="m", use_chat=False,
                                 server_ready_delay_sec=0.05)
        writer = JsonlWriter(str(tmp_path / "out"), output_filename="${rank}_${chunk_index}.jsonl", compression=None)
        base = InferenceRunner(naive, config, writer, checkpoints_local_dir=str(tmp_path / "c"),
                               records_per_chunk=1)
        monkeypatch.setattr(base, "_init_server", lambda rank: ScriptedServer(config, rank))
        base.run(iter(documents(1)), 0, 1)

    with pytest.raises(InferenceError):
        base_run()
    crash["now"] = False
    base_run()
    import json

    (line,) = [line for path in (tmp_path / "out").glob("*.jsonl") for line in path.read_text().splitlines()]
    texts = json.loads(line)["metadata"]["rollout_results"][0]
    assert len(texts) == 4 and len(set(texts)) == 1


def test_document_that_cannot_be_written_stops_the_rank(tmp_path, script):
    async def unwritable(document, generate):
        return {"answers": [{"id": object()}]}

    with pytest.raises(Exception, match="rows for answers do not fit its schema: column 'id'"):
        run(tmp_path, unwritable, 1)


def test_rank_without_documents_still_leaves_its_files(tmp_path, script):
    assert run(tmp_path, four_samples, 0) == []


def test_tokens_of_more_choices_than_asked_are_known_where_each_has_its_own():
    choices = [{"text": text, "finish_reason": "stop", "token_ids": list(text)} for text in ("ab", "c", "d")]
    usage = {"prompt_tokens": 9, "completion_tokens": 4}
    kept = completions_of({"choices": choices, "usage": usage}, asked=2)
    assert [(one.text, one.completion_tokens) for one in kept] == [("ab", 2), ("c", 1)]
    bare = [choice | {"token_ids": None} for choice in choices]
    for asked, tokens in ((2, [None, None]), (3, [4, 0, 0]), (None, [4, 0, 0])):
        kept = completions_of({"choices": bare, "usage": usage}, asked)
        assert [one.completion_tokens for one in kept] == tokens


@pytest.mark.parametrize(("text", "tokens", "most", "counted"), [
    ("four", 5, 4, 5), ("four", 6, 4, None), ("four", 6, 6, 6), ("four", 6, None, 6), ("\u4e00\u4e8c", 7, 4, 7),
    ("", 4, 4, 4), ("", 5, 4, None)])
def test_more_tokens_than_asked_and_than_bytes_are_no_count(text, tokens, most, counted):
    answer = {"choices": [{"text": text, "finish_reason": "stop"}], "usage": {"completion_tokens": tokens}}
    assert completions_of(answer, 1, most)[0].completion_tokens == counted


def test_a_count_of_zero_is_a_count_and_a_missing_one_is_null():
    choices = [{"text": "", "finish_reason": "stop"}]
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}}
    (counted,), (unknown,) = (completions_of({"choices": choices, "usage": given}) for given in (usage, {}))
    assert (counted.completion_tokens, counted.prompt_tokens, counted.cached_prompt_tokens) == (0, 9, 0)
    assert (unknown.completion_tokens, unknown.prompt_tokens, unknown.cached_prompt_tokens) == (None, None, None)
