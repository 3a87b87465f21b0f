"""Real vLLM on the CPU: one server, started by the process that a run would be, answers all tests of this file.

It serves the tiny model and an adapter of it beside; only the test of the adapter asks for that.

`make test-slow` installs vLLM in an environment of its own and says where, in STEPFORGE_VLLM_PYTHON.
"""

import asyncio
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import psutil
import pytest
import torch
from helpers.processes import assert_gone
from helpers.runs import execute, rows
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from stepforge.builders.errors import StageFailed
from stepforge.pipelines import plan
from stepforge.pipelines.inference.client import Client
from stepforge.pipelines.inference.models import SHIPPED, model_revision
from stepforge.pipelines.inference.server_commands import NAME, PYTHON
from stepforge.pipelines.inference.server_process import Address
from stepforge.pipelines.plan import read_state
from stepforge.pipelines.recipe import load_recipe

pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(900),
    pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no Python with vLLM; see `make test-slow`"),
]
GENERATOR = {"name": "served", "engine": "vllm", "model": "tiny", "dtype": "float32", "max_model_len": 256,
             "samples": 8, "temperature": 0.7, "max_tokens": 128,
             "arguments": ["--enforce-eager", "--block-size", "32"]}
HOLDER = """
import sys, time
from pathlib import Path
from stepforge.pipelines.inference.servers import Servers
from stepforge.pipelines.options.generators import VllmGenerator
with Servers(Path(sys.argv[2])) as servers:
    print(servers.addresses(VllmGenerator.model_validate_json(sys.argv[1]))[0].url, flush=True)
    time.sleep(3600)
"""
PROMPT = ("Jonas has 25 dollars in a jar. He spends 10 dollars. Felix has 18 more dollars than Jonas. "
          "How many dollars do the two have together?\n")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """A LoRA adapter that changes what the tiny model writes, and the model with it."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "o_proj"]))
    for name, weights in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.3)
    folder = tmp_path_factory.mktemp("adapter")
    adapted.save_pretrained(folder)
    return folder, adapted


@pytest.fixture(scope="module")
def holder(adapter, tmp_path_factory):
    """The process that started the server, and the server's address."""
    logs = tmp_path_factory.mktemp("servers")
    served = orjson.dumps(GENERATOR | {"adapter": str(adapter[0])}).decode()
    process = subprocess.Popen([sys.executable, "-c", HOLDER, served, str(logs)],
                               stdout=subprocess.PIPE, text=True, env=os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1"})
    url = process.stdout.readline().strip()
    assert url, "the server did not start; see above"
    yield process, Address(url, logs / "served-0.log")
    process.kill()
    process.wait()


@contextmanager
def lent(address: Address):
    """Let runs of this process use the server instead of starting one each."""
    class Lent:
        def __init__(self, *_) -> None:
            """Starts nothing."""

        def of(self, _) -> "Lent":
            return self

        def __enter__(self) -> "Lent":
            return self

        def __exit__(self, *_) -> None:
            """Ends nothing."""

        def close(self) -> None:
            """Ends nothing."""

        def addresses(self, generator) -> tuple[Address, ...]:
            return (address,)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "Servers", Lent)
        yield address


@pytest.fixture
def shared(holder):
    with lent(holder[1]) as address:
        yield address


def demo(**changes) -> dict:
    """The recipe of the demo with fewer problems, its model served by vLLM."""
    recipe = load_recipe(Path("demo")).model_dump(mode="json")
    recipe["problems"][0]["limit"] = 16
    recipe["generators"] = [GENERATOR]
    recipe["annotate"]["policy"] = "served"
    return recipe | {"release": recipe["release"] | {"to": None}} | changes


@pytest.fixture(scope="module")
def run(holder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "demo"
    with lent(holder[1]):
        execute(demo(), folder)
    return folder


def answered(address: Address) -> int:
    """Completions that the server has made so far, by its own count."""
    metrics = httpx.get(address.url.removesuffix("/v1") + "/metrics", trust_env=False).text
    return sum(int(float(n)) for n in re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", metrics, re.M))


def ask(address: Address, **payload) -> dict:
    async def once():
        client = Client(address.url)
        answer = await client.ask({"model": NAME, "prompt": PROMPT, "max_tokens": 60, "temperature": 1.5, **payload})
        await client.close()
        return answer

    return asyncio.run(once())


def texts(answer: dict) -> list[str]:
    return [choice["text"] for choice in sorted(answer["choices"], key=lambda choice: choice["index"])]


def test_seed_makes_the_same_distinct_samples_again_alone_or_together(holder):
    together = texts(ask(holder[1], n=8, seed=7))
    assert len(set(together)) == 8 and texts(ask(holder[1], n=8, seed=7)) == together
    alone = [texts(ask(holder[1], n=1, seed=7 + index))[0] for index in range(8)]
    assert sum(a == b for a, b in zip(alone, together, strict=True)) >= 7  # a sum in another order may turn a token


def test_demo_runs_on_vllm(run):
    assert set(read_state(run)) == {stage.name for stage in plan.STAGES}
    solutions, rollouts = rows(run, "solutions"), rows(run, "rollouts")
    assert len(solutions) == 128 and len({row["seed"] for row in solutions}) == 128
    verdicts = [row["verdict"] for row in rows(run, "verdicts")]
    assert 0.2 < verdicts.count("correct") / 128 < 0.8  # half of them, give or take six deviations
    assert rollouts and all(row["finish_reason"] in ("stop", "length") for row in rollouts)
    assert len({row["rollout_id"] for row in rollouts}) == len(rollouts)
    assert all(row["token_exact"] for row in rollouts if row["origin"] == "prefix")
    manifest = orjson.loads((run / "release/stepforge.json").read_bytes())
    assert manifest["generators"][0]["revision"] == model_revision("tiny")


def test_tokens_of_a_solution_are_its_text(run):
    tokenizer = Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))
    for row in rows(run, "solutions"):
        assert tokenizer.decode(list(row["completion_ids"])) == row["solution"]
        assert row["completion_tokens"] == len(row["completion_ids"]) + row["complete"]


def test_what_prompts_share_is_computed_once(run):
    rollouts = rows(run, "rollouts")
    cached = sum(row["cached_prompt_tokens"] for row in rollouts)
    assert cached > 0.5 * sum(row["prompt_tokens"] for row in rollouts)


def test_nothing_is_asked_for_twice(run, shared):
    before = answered(shared)
    tables = [rows(run, name) for name in ("solutions", "rollouts", "steps")]
    (run / "state.json").unlink()
    assert "generate" in execute(demo(), run)
    assert answered(shared) == before and tables == [rows(run, name) for name in ("solutions", "rollouts", "steps")]
    more = GENERATOR | {"samples": 10}
    execute(demo(generators=[more], annotate=None), run)
    assert answered(shared) == before + 32 and len(rows(run, "solutions")) == 160


def test_many_seeded_prompts_at_once_are_answered(shared, tmp_path):
    """More tokens of prompts than vLLM computes in one step: in pieces, the CPU build would die of it."""
    many = demo(annotate=None)
    many["problems"][0]["limit"] = 96
    execute(many, tmp_path)
    assert len(rows(tmp_path, "solutions")) == 96 * 8


def test_prompt_that_is_too_long_is_an_outcome(shared, tmp_path):
    long = GENERATOR | {"prompt": "so " * 400 + "{{ problem }}\n"}
    with pytest.raises(StageFailed, match=r"none of 128 solutions came; dropped \{'prompt_too_long': 128\}"):
        execute(demo(generators=[long], annotate=None), tmp_path)
    assert "maximum context length is 256" in rows(tmp_path, "drops/generate")[0]["detail"]


def test_completion_that_fills_the_context_ends_there(shared, tmp_path):
    execute(demo(generators=[GENERATOR | {"max_tokens": 4000, "temperature": 2}], annotate=None), tmp_path)
    solutions = rows(tmp_path, "solutions")
    assert "length" in {row["finish_reason"] for row in solutions}
    assert max(row["prompt_tokens"] + row["completion_tokens"] for row in solutions) <= 256


def test_adapter_writes_what_the_model_with_it_writes(shared, adapter, tmp_path):
    folder, adapted = adapter
    tokenizer = PreTrainedTokenizerFast.from_pretrained(SHIPPED)

    def greedy(problem: str) -> str:
        ids = tokenizer(problem + "\n", return_tensors="pt").input_ids
        written = adapted.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False)
        return tokenizer.decode(written[0, ids.shape[1]:], skip_special_tokens=True)

    asked = GENERATOR | {"adapter": str(folder), "temperature": 0, "max_tokens": 40, "samples": 1}
    execute(demo(generators=[asked], annotate=None), tmp_path)
    problems = {row["problem_id"]: row["problem"] for row in rows(tmp_path, "problems")}
    by_text = {row["solution"]: greedy(problems[row["problem_id"]]) for row in rows(tmp_path, "solutions")}
    with adapted.disable_adapter():
        assert not set(by_text) & {greedy(problem) for problem in problems.values()}
    assert len(by_text) == 16 and sum(ours == theirs for ours, theirs in by_text.items()) >= 15  # near ties may turn


def test_no_process_is_left_when_the_run_is_killed(holder):
    """The last test of this file: it takes the server away."""
    process, _ = holder
    descendants = psutil.Process(process.pid).children(recursive=True)
    assert len(descendants) >= 4 and any("EngineCore" in " ".join(p.cmdline()) for p in descendants)
    process.kill()
    assert_gone(descendants)
