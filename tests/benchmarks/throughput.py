"""How fast do we keep a model busy? Three ratios, each with both sides measured in this run, turn about.

- share_of_offline: tokens per second of the generate stage on a vLLM server of a rank, over those of vLLM's offline
  `LLM.generate` on the same prompts, seeds and settings. The stage's whole wall time counts, the server's start not.
- prefix_cache_share: wall time of rollouts from shared prefixes over the same with prefix caching off, on two servers.
- overhead_share: the part of the demo recipe's wall time that is not inference: 1 - the time of the embedded engine
  for the same requests handed to it at once / the time of all stages, after a warm-up.

Each is the median of some rounds. Needs vLLM (`make bench NAME=throughput` installs it). Writes
build/bench/throughput.json. Arguments: number of problems (240), rounds (3).
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from stepforge.builders.parquet import read_rows
from stepforge.pipelines import plan
from stepforge.pipelines.inference.client import Client
from stepforge.pipelines.inference.embedded import SamplerProcess
from stepforge.pipelines.inference.engines import generator_id, sampling_of, seed_of
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.inference.server_commands import NAME, PYTHON
from stepforge.pipelines.inference.server_process import Address, ServerProcess
from stepforge.pipelines.options.generators import VllmGenerator
from stepforge.pipelines.recipe import Recipe, load_recipe

GENERATOR = VllmGenerator(
    engine="vllm", name="served", model="tiny", dtype="float32", max_model_len=256, samples=8, temperature=0.7,
    max_tokens=128, arguments=("--enforce-eager", "--block-size", "32", "--max-num-seqs", "128"))
ENGINE = {"model": str(SHIPPED), "dtype": "float32", "max_model_len": 256, "enforce_eager": True, "block_size": 32,
          "max_num_seqs": 128, "enable_chunked_prefill": False, "generation_config": "vllm", "disable_log_stats": True}
ROLLOUTS, ROLLOUT_TOKENS, PREFIXES = 16, 24, 40


class Lent:
    """Stands where a run would start servers of its own, and gives it one that runs."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def __enter__(self) -> "Lent":
        return self

    def __exit__(self, *_: object) -> None:
        """Ends nothing."""

    def close(self) -> None:
        """Ends nothing."""

    def addresses(self, _: object) -> tuple[Address, ...]:
        return (self.address,)


def recipe(problems: int) -> Recipe:
    """The demo up to the solutions, in one shard, so that no process starts while the clock runs."""
    loaded = load_recipe(Path("demo"))
    return loaded.model_copy(update={
        "problems": (loaded.problems[0].model_copy(update={"limit": problems}),), "generators": (GENERATOR,),
        "annotate": None, "release": loaded.release.model_copy(update={"to": None}),
        "executor": loaded.executor.model_copy(update={"tasks": 1, "workers": 1})})


def generate(asked: Recipe, folder: Path, address: Address) -> tuple[int, float]:
    """Tokens and seconds of the generate stage."""
    plan.Servers = lambda logs: Lent(address)  # type: ignore[assignment, misc]
    plan.run(asked, folder, plan.silent, lambda *_: None)
    entry = plan.read_state(folder)["generate"]
    return entry["ledger"]["completion_tokens"], entry["seconds"]


@contextmanager
def offline(work: Path):
    """A process with vLLM's `LLM`; gives a function that measures one run."""
    process = subprocess.Popen([os.environ[PYTHON], str(Path(__file__).parent / "_offline.py"), str(work)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               start_new_session=True)
    assert process.stdin and process.stdout

    def answer() -> str:
        for line in process.stdout:  # vLLM prints here too
            if line.startswith(("ready", "{")):
                return line
        raise RuntimeError("the offline engine ended")

    def measure() -> tuple[int, float]:
        process.stdin.write("go\n")
        process.stdin.flush()
        timed = json.loads(answer())
        return timed["tokens"], timed["seconds"]

    try:
        answer()
        yield measure
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its engine and worker too, which would outlive it
        process.wait()


def share_of_offline(scratch: Path, address: Address, problems: int, rounds: int) -> float:
    asked, shares = recipe(problems), []
    generate(asked, scratch / "warm", address)
    rows = list(read_rows(scratch / "warm" / "tables" / "problems.parquet"))
    prompts = [render(GENERATOR.prompt, row["problem"], GENERATOR.model) for row in rows]
    seeds = [seed_of(GENERATOR, 0, asked.seed, "sample", generator_id(GENERATOR), row["problem_id"]) for row in rows]
    sampling = {**sampling_of(GENERATOR), "n": GENERATOR.samples}
    work = scratch / "work.json"
    work.write_text(json.dumps({"engine": ENGINE, "prompts": prompts, "seeds": seeds, "sampling": sampling}))
    with offline(work) as measure:
        measure()
        for turn in range(rounds):
            ours, theirs = generate(asked, scratch / f"turn{turn}", address), measure()
            rates = ours[0] / ours[1], theirs[0] / theirs[1]
            shares.append(rates[0] / rates[1])
            say(f"generate, round {turn}", f"{rates[0]:,.0f} tokens/s", f"offline {rates[1]:,.0f}", shares[-1])
    return median(shares)


def prefix_cache_share(on: Address, off: Address, scratch: Path, rounds: int) -> float:
    """Rollouts behind every step of solutions, as annotate asks for them; prefixes no round has seen before."""
    solutions = list(read_rows(scratch / "warm" / "tables" / "solutions.parquet"))
    problems = {row["problem_id"]: row["problem"] for row in read_rows(scratch / "warm" / "tables/problems.parquet")}
    longest = sorted(solutions, key=lambda row: -row["completion_tokens"])

    async def roll_out(address: Address, turn: int) -> float:
        client = Client(address.url, most=64, first=64)
        chosen = longest[turn * PREFIXES:(turn + 1) * PREFIXES]
        bodies = [{"model": NAME, "prompt": f"{problems[row['problem_id']]}\n{row['solution'][:-20]}", "n": 1,
                   "seed": seed, "max_tokens": ROLLOUT_TOKENS, "temperature": 0.7}
                  for row in chosen for seed in range(ROLLOUTS)]
        start = time.perf_counter()
        await asyncio.gather(*map(client.ask, bodies))
        seconds = time.perf_counter() - start
        await client.close()
        return seconds

    shares = []
    for turn in range(rounds):
        cached, plain = asyncio.run(roll_out(on, turn)), asyncio.run(roll_out(off, turn))
        shares.append(cached / plain)
        say(f"rollouts, round {turn}", f"cached {cached:.1f} s", f"not cached {plain:.1f} s", shares[-1])
    return median(shares)


def overhead_share(scratch: Path, problems: int, rounds: int) -> float:
    """All stages of the demo on the embedded engine, against its requests alone, turn about."""
    demo, payloads = load_recipe(Path("demo")), []
    small = demo.model_copy(update={"executor": demo.executor.model_copy(update={"tasks": 1, "workers": 1}),
                                    "release": demo.release.model_copy(update={"to": None})})
    kept = SamplerProcess.submit

    def noting(self: SamplerProcess, payload: dict) -> object:
        payloads.append(payload)
        return kept(self, payload)

    def run(folder: Path, limit: int) -> float:
        plan.run(small.model_copy(update={"problems": (demo.problems[0].model_copy(update={"limit": limit}),)}),
                 folder, plan.silent, lambda *_: None)
        return sum(entry["seconds"] for entry in plan.read_state(folder).values())

    run(scratch / "demo-warm", 4)
    shares = []
    for turn in range(rounds):
        payloads.clear()
        SamplerProcess.submit = noting  # type: ignore[method-assign, assignment]
        ours = run(scratch / f"demo{turn}", problems)
        SamplerProcess.submit = kept  # type: ignore[method-assign]
        sampler = SamplerProcess(model="tiny")
        start = time.perf_counter()
        for answer in [sampler.submit(payload) for payload in payloads]:
            answer.result()
        theirs = time.perf_counter() - start
        sampler.close()
        shares.append(1 - theirs / ours)
        say(f"demo, round {turn}", f"all stages {ours:.1f} s", f"inference {theirs:.1f} s", shares[-1])
    stages = plan.read_state(scratch / "demo0")
    asking = sum(entry["seconds"] for name, entry in stages.items() if name in ("generate", "annotate"))
    say("", "stages that ask no model", f"{1 - asking / sum(entry['seconds'] for entry in stages.values()):.3f}")
    return median(shares)


def say(*cells: object) -> None:
    texts = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
    print("".join(f"{cell:<24}" for cell in texts) + f"load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    problems, rounds = (int(sys.argv[1]) if len(sys.argv) > 1 else 240), (int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    with tempfile.TemporaryDirectory() as name:
        scratch, result = Path(name), {}
        result["overhead_share"] = overhead_share(scratch, problems, rounds)
        on = ServerProcess(GENERATOR, scratch / "on.log")
        off = ServerProcess(GENERATOR.model_copy(update={"prefix_caching": False}), scratch / "off.log")
        try:
            address = on.start()
            result["share_of_offline"] = share_of_offline(scratch, address, problems, rounds)
            result["prefix_cache_share"] = prefix_cache_share(address, off.start(), scratch, rounds)
        finally:
            on.stop()
            off.stop()
    for key, value in result.items():
        print(f"{key:<24}{value:.3f}")
    Path("build/bench").mkdir(parents=True, exist_ok=True)
    Path("build/bench/throughput.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
