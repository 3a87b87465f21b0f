"""Peak memory and tokens per second of every training method, each in a process of its own, against SFT.

A small release is made by the pipeline itself; every method then trains the shipped model on it for a few steps with
the same batch. Memory is the process's high-water mark less that of a process which only imports the trainers (on a
GPU: torch's own peak). Writes build/bench/training.json.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

METHODS = ("sft", "awr", "prm", "kto", "dpo", "step_dpo", "grpo")
RECIPE = """
name: bench
problems: [{source: arithmetic, limit: 16, steps: [2, 3]}]
generators: [{name: me, engine: embedded, samples: 4, temperature: 0.8, max_tokens: 100}]
annotate: {policy: me, rollouts: 2}
release: {splits: {}}
executor: {kind: local, tasks: 1, workers: 1}
"""


def make_release(folder: Path) -> Path:
    from stepforge.pipelines import plan
    from stepforge.pipelines.recipe import load_recipe

    (folder / "recipe.yaml").write_text(RECIPE)
    plan.run(load_recipe(folder / "recipe.yaml"), folder / "run", plan.silent, lambda planned, account: None)
    return folder / "run" / "release"


def measure(method: str | None, release: Path, out: Path, steps: int) -> dict[str, Any]:
    """Peak memory in MiB, and tokens per second; of `None` the memory of the imports alone."""
    from importlib import import_module

    import torch

    from stepforge.pipelines.inference.models import SHIPPED

    modules = {name: import_module(f"stepforge.train.{name}") for name in METHODS}
    result: dict[str, Any] = {"method": method}
    if method:
        options = ["--num_generations", "8", "--max_completion_length", "64"] if method == "grpo" else []
        modules[method].main([
            "--dataset", str(release), "--model_name_or_path", str(SHIPPED), "--output_dir", str(out / method),
            "--max_steps", str(steps), "--per_device_train_batch_size", "16", "--gradient_checkpointing", "false",
            "--logging_steps", "1", "--save_strategy", "no", "--disable_tqdm", "true",
            "--include_num_input_tokens_seen", "true", *options])
        state = json.loads((out / method / "trainer_state.json").read_text())
        seconds, tokens = state["log_history"][-1]["train_runtime"], state["num_input_tokens_seen"]  # padding included
        result |= {"tokens_per_second": tokens / seconds, "tokens": tokens, "seconds": seconds}
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if torch.cuda.is_available():
        result["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return result


def quietly(job: tuple[str | None, Path, Path, int]) -> dict[str, Any]:
    """`measure` with the trainers' own lines sent to standard error's file."""
    os.dup2(2, 1)
    return measure(*job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release = make_release(folder)
        context = multiprocessing.get_context("forkserver")  # imports once; every method is a fresh fork of that
        context.set_forkserver_preload([f"stepforge.train.{name}" for name in METHODS])
        results = []
        for method in (None, *METHODS):
            with ProcessPoolExecutor(1, mp_context=context) as pool:  # it passes a worker's exit on, a Pool would wait
                results.append(pool.submit(quietly, (method, release, folder, steps)).result())
    base, sft = results[0]["peak_mib"], results[1]
    report = {}
    print(f"{'method':10} {'tokens/s':>9} {'of SFT':>7} {'peak MiB above imports':>23} {'of SFT':>7}")
    for row in results[1:]:
        memory, speed = max(1.0, row["peak_mib"] - base), row["tokens_per_second"]
        report[row["method"]] = {"tokens_per_second": round(speed, 1), "peak_mib": round(memory, 1),
                                 "speed_of_sft": round(speed / sft["tokens_per_second"], 3),
                                 "memory_of_sft": round(memory / max(1.0, sft["peak_mib"] - base), 3)}
        measured = report[row["method"]]
        print(f"{row['method']:10} {speed:9.0f} {measured['speed_of_sft']:7.2f} {memory:23.0f} "
              f"{measured['memory_of_sft']:7.2f}")
    file = Path("build/bench/training.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"steps": steps, "python": sys.version.split()[0], "methods": report}, indent=2) + "\n")


if __name__ == "__main__":
    main()
