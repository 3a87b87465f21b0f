"""What the vLLM engine does on its own side: grouping, splitting, command lines, servers that do not start."""

import asyncio
import json

import pytest
from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.errors import UserError
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference.engines import generator_id, payload_of, seed_of
from stepforge.pipelines.inference.launched import MOST_CHOICES, LaunchedServer, body_of, consecutive, split
from stepforge.pipelines.inference.models import SHIPPED, model_revision
from stepforge.pipelines.inference.server_commands import PYTHON, PYTHONS, command, gpus
from stepforge.pipelines.inference.server_process import _pinned
from stepforge.pipelines.inference.servers import Servers
from stepforge.pipelines.options.generators import EmbeddedGenerator, EndpointGenerator, SglangGenerator, VllmGenerator


def vllm(**options) -> VllmGenerator:
    return VllmGenerator(engine="vllm", name="v", **{"model": "tiny"} | options)


def seeds(runs):
    return [[payload["seed"] for payload, _ in run] for run in runs]


@pytest.mark.parametrize("given, expected", [
    ([3, 4, 5], [[3, 4, 5]]), ([5, 3, 4], [[3, 4, 5]]), ([1, 2, 9, 10], [[1, 2], [9, 10]]), ([7], [[7]]),
    ([4, 4], [[4], [4]]), (list(range(100)), [list(range(MOST_CHOICES)), list(range(MOST_CHOICES, 100))]),
])
def test_payloads_travel_together_while_their_seeds_follow_one_another(given, expected):
    assert seeds(consecutive([({"seed": seed}, None) for seed in given])) == expected


def test_seeds_of_a_prompt_follow_one_another_under_vllm_and_are_hashes_elsewhere():
    seeds = [seed_of(vllm(), index, "run", "problem") for index in range(3)]
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]
    tiny = EmbeddedGenerator(engine="embedded", name="tiny")
    assert seed_of(tiny, 1, "run", "problem") - seed_of(tiny, 0, "run", "problem") != 1


def test_every_choice_gets_its_own_tokens_and_counts():
    choices = [{"index": 1, "text": "b", "finish_reason": "length", "stop_reason": None, "token_ids": [6, 7]},
               {"index": 0, "text": "a", "finish_reason": "stop", "stop_reason": None, "token_ids": [5, 2]},
               {"index": 2, "text": "c", "finish_reason": "stop", "stop_reason": "\n", "token_ids": [8, 9]}]
    usage = {"prompt_tokens": 40, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 32}}
    parts = split({"choices": choices, "usage": usage}, 3)
    assert [part["choices"][0]["text"] for part in parts] == ["a", "b", "c"]
    assert [part["choices"][0]["token_ids"] for part in parts] == [[5], [6, 7], None]
    assert [part["usage"]["completion_tokens"] for part in parts] == [2, 2, 2]
    assert [part["usage"]["prompt_tokens_details"]["cached_tokens"] for part in parts] == [32, 40, 40]
    with pytest.raises(ValueError, match="asked for 4 choices, got 3"):
        split({"choices": choices, "usage": usage}, 4)


def test_no_limit_of_top_k_is_said_as_the_engine_says_it():
    bodies = {top_k: body_of(generator, [payload_of(generator, "2 + 2?", 1)], 100) for top_k in (0, 5)
              for generator in [SglangGenerator(engine="sglang", name="s", model="tiny", top_k=top_k)]}
    assert {top_k: body["top_k"] for top_k, body in bodies.items()} == {0: -1, 5: 5}


def test_a_server_of_a_ranks_own_that_is_gone_is_not_started_again(tmp_path):
    class Failing:
        gone = "it ended"

        async def ask(self, body):
            raise ServerError("nobody answers")

    async def ask():
        config = InferenceConfig(server_type="custom", model_name_or_path="tiny")
        server = LaunchedServer(vllm(), config, 0, None, tmp_path)
        server.client = Failing()
        await asyncio.wait_for(server._answer({}), 20)

    with pytest.raises(ServerError, match="nobody answers"):
        asyncio.run(ask())


@pytest.fixture
def some_python(monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho this Python knows no vLLM >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(program))
    return program


def test_recipe_alone_decides_sampling_and_code_of_the_model_does_not_run(some_python):
    line = command(vllm(), 1234)
    assert line[:5] == [str(some_python), "-m", "vllm.entrypoints.cli.main", "serve", str(SHIPPED)]
    assert line[line.index("--generation-config") + 1] == "vllm" and "--trust-remote-code" not in line
    assert "--enable-prefix-caching" in line and "--revision" not in line
    assert ("--no-enable-chunked-prefill" in line) == (not gpus())
    assert "--trust-remote-code" in command(vllm(trust_remote_code=True), 1234)
    assert "--no-enable-prefix-caching" in command(vllm(prefix_caching=False), 1234)


def test_settings_of_the_server_reach_its_command_line(some_python, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 12}))
    commit = "0123456789" * 4
    line = command(vllm(model="org/name", revision=commit, adapter=str(tmp_path), tensor_parallel=2, gpu_memory=0.8,
                        max_model_len=99, arguments=("--enforce-eager",)), 1234)
    args = dict(zip(line, line[1:], strict=False))
    assert (args["serve"], args["--revision"], args["--tokenizer-revision"]) == ("org/name", commit, commit)
    assert (args["--lora-modules"], args["--max-lora-rank"]) == (f"adapter={tmp_path}", "16")
    assert (args["--tensor-parallel-size"], args["--max-model-len"], args["--gpu-memory-utilization"], line[-1]) == (
        "2", "99", "0.8", "--enforce-eager")


def test_model_over_several_machines_is_for_ray_to_place(some_python, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    served = vllm(tensor_parallel=8, pipeline_parallel=2, backend="ray", replicas=2)
    line = command(served, 1234)
    given = dict(zip(line, line[1:], strict=False))
    assert (given["--pipeline-parallel-size"], given["--distributed-executor-backend"]) == ("2", "ray")
    assert _pinned(served, 0) == {} and "--distributed-executor-backend" not in command(vllm(), 1234)
    with pytest.raises(UserError, match="2 replicas of 16 GPUs each"):
        _pinned(served.model_copy(update={"backend": "mp"}), 0)


def test_sglang_gets_its_own_command_line(monkeypatch, some_python, tmp_path):
    monkeypatch.setenv(PYTHONS["sglang"], str(some_python))
    commit = "0123456789" * 4
    served = SglangGenerator(engine="sglang", name="s", model="org/name", revision=commit, adapter=str(tmp_path),
                             tensor_parallel=2, pipeline_parallel=3, data_parallel=4, gpu_memory=0.8, dtype="float32",
                             max_model_len=99, prefix_caching=False, trust_remote_code=True,
                             arguments=("--enable-deterministic-inference",))
    line = command(served, 1234, "0.0.0.0", tmp_path / "key.yaml")
    assert line[:3] == [str(some_python), "-m", "sglang.launch_server"]
    assert line[3:] == [
        "--model-path", "org/name", "--sampling-defaults", "openai", "--enable-cache-report", "--log-level-http",
        "warning", "--tensor-parallel-size", "2", "--pipeline-parallel-size", "3", "--data-parallel-size", "4",
        "--revision", commit, "--disable-radix-cache", "--mem-fraction-static", "0.8", "--context-length", "99",
        "--enable-lora", "--lora-paths", f"adapter={tmp_path}", "--host", "0.0.0.0", "--port", "1234",
        "--served-model-name", "model", "--dtype", "float32", "--trust-remote-code", "--config",
        str(tmp_path / "key.yaml"), "--enable-deterministic-inference"]
    plain = command(SglangGenerator(engine="sglang", name="s", model="tiny"), 1)
    assert not {"--revision", "--trust-remote-code", "--config", "--disable-radix-cache"} & set(plain)
    with pytest.raises(ValueError, match="only vLLM has one"):
        SglangGenerator(engine="sglang", name="s", model="tiny", backend="ray")


def test_vllm_and_sglang_are_two_generators():
    both = [generator_id(kind(engine=engine, name="v", model="tiny"))
            for kind, engine in ((VllmGenerator, "vllm"), (SglangGenerator, "sglang"))]
    assert both[0] != both[1]


def test_fields_that_a_request_leaves_out_make_another_generator_in_whatever_order_they_are_named():
    none, one, two, turned = (generator_id(EndpointGenerator(
        engine="endpoint", name="e", model="m", url="http://there/v1", omit=omit))
        for omit in ((), ("top_k",), ("seed", "top_k"), ("top_k", "seed")))
    assert len({none, one, two}) == 3 and two == turned


def test_replicas_get_gpus_of_their_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7")
    two = vllm(replicas=2, tensor_parallel=2)
    assert [_pinned(two, replica)["CUDA_VISIBLE_DEVICES"] for replica in (0, 1)] == ["3,5", "6,7"]
    assert _pinned(vllm(), 0) == {}
    with pytest.raises(UserError, match="3 replicas of 2 GPUs each are more than the 4"):
        _pinned(vllm(replicas=3, tensor_parallel=2), 0)


def test_revision_dtype_and_adapter_make_another_generator_but_gpus_do_not(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    base = generator_id(vllm())
    for other in ({"dtype": "float32"}, {"adapter": str(tmp_path)}, {"temperature": 0.5}, {"max_model_len": 99},
                  {"model": "org/name", "revision": "0123456789" * 4}):
        assert generator_id(vllm(**other)) != base, other
    assert generator_id(vllm(replicas=2, tensor_parallel=4, prefix_caching=False, concurrency=1)) == base


def test_model_that_is_nowhere_is_told_of(monkeypatch):
    monkeypatch.setattr("stepforge.pipelines.inference.models.HfApi.model_info", lambda *_, **__: 1 / 0)
    with pytest.raises(UserError, match="'org/nowhere', revision 'main': neither a folder nor found"):
        model_revision("org/nowhere")


def test_server_that_cannot_start_shows_the_end_of_its_log(some_python, tmp_path):
    with Servers(tmp_path / "logs") as servers, pytest.raises(StageFailed) as failed:
        servers.addresses(vllm())
    assert "did not start" in str(failed.value) and "this Python knows no vLLM" in str(failed.value)
    assert "ended by itself with code 3" in str(failed.value) and "v-0.log" in str(failed.value)


def test_python_without_vllm_is_told_of(monkeypatch):
    monkeypatch.delenv(PYTHON, raising=False)
    with pytest.raises(UserError, match=r"pip install 'stepforge\[vllm\]'"):
        command(vllm(), 1)
    monkeypatch.setenv(PYTHON, "/nowhere/python")
    with pytest.raises(UserError, match="which is no program"):
        command(vllm(), 1)
    with pytest.raises(UserError, match="this Python has no SGLang"):
        command(SglangGenerator(engine="sglang", name="s", model="tiny"), 1)
