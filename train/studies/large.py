"""The terse teacher on one GPU within a quarter of an hour: 10 million parameters, 1,024 to 65,536 problems.

    python -m stepforge.train.studies.large --out build/large --minutes 9 --seeds 0 1 2 3 4 --to train/results/large

A scaling study (scaling.py) whose base model is 90 times as large, in larger batches. The base model is made first,
then every seed runs in a process of its own: so small a model waits for its launches, not for the GPU. What matters
most runs first (`plan`). After --minutes whatever still runs is stopped, and what is there is reported. Every result
is written when it is known, so the same command continues a run that was stopped. On a CPU it works too, so that a
small one can be tried: `--set width=64 layers=2 sizes=[64] sft_sizes=[64,128]`.
"""

import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

from stepforge.train.studies.lab import command_line, quietly, say, settings
from stepforge.train.studies.reporting import report
from stepforge.train.studies.scaling import PRESETS, Settings, Study

GPU: dict[str, Any] = PRESETS["terse_teacher"] | {
    "width": 480, "layers": 4, "base_updates": 1000, "batch": 128, "sft_rate": 1e-3, "dpo_rate": 1e-4,
    "prefix_rate": 5e-5, "sizes": (1024, 4096, 16384), "sft_sizes": (1024, 4096, 16384, 65536)}
ARMS = ["rft", "dpo_random", "step_dpo_truncated", "step_dpo_prefix"]


def plan(chosen: Settings) -> list[tuple[list[str], int]]:
    """Arms and a size, in the order of their worth: the smaller sizes, all of SFT's curve, then the largest size."""
    *smaller, largest = sorted(chosen.sizes)
    curve = [size for size in sorted(chosen.sft_sizes) if size not in smaller]
    return [*((["sft", *ARMS], size) for size in smaller), *((["sft"], size) for size in curve), (ARMS, largest)]


def one_seed(chosen: Settings, out: Path, device: str, seed: int) -> None:
    """All runs of a seed, in a process of its own."""
    def work() -> None:
        study = Study(chosen, out, device)
        for arms, size in plan(chosen):
            study.run([seed], arms, [size])

    quietly(f"large, seed {seed}", work)


def run(chosen: Settings, out: Path, device: str, seeds: list[int], minutes: float) -> None:
    """Make the base model, then the seeds side by side, until all are done or the time is up."""
    ends = time.monotonic() + 60 * minutes
    Study(chosen, out, device).run(seeds, [], [])
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=one_seed, args=(chosen, out, device, seed)) for seed in seeds]
    for process in running:
        process.start()
    for seed, process in zip(seeds, running, strict=True):
        process.join(max(0.0, ends - time.monotonic()))
        if process.is_alive():
            say(f"time is up; seed {seed} is not done")
    for process in running:
        process.terminate()
        process.join()


def main(argv: list[str] | None = None) -> None:
    """Run what is missing as long as there is time, then report."""
    parser = command_line(__doc__)
    parser.add_argument("--minutes", type=float, default=9, help="time that there is")
    args = parser.parse_args(argv)

    def work() -> None:
        if not args.report:
            chosen = settings(Settings, args.set, GPU, task="terse_teacher")
            run(chosen, args.out, args.device, args.seeds, args.minutes)
        sys.stdout.write(report(args.out, args.to or args.out, resamples=1000))

    quietly("large", work)


if __name__ == "__main__":
    main()
