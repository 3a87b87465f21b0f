"""The terse teacher on one GPU within a quarter of an hour: 10 million parameters, 1,024 to 65,536 problems.

    python -m stepforge.train.studies.large --out build/large --minutes 15 --to train/results/large

A scaling study (scaling.py) whose base model is 90 times as large, in larger batches. What matters most runs first:
SFT and the arms at 1,024 problems, SFT at four times as many, and so on; seeds follow one another. No run starts after
nine tenths of --minutes, and what is there is reported. A run that was stopped goes on with the same command. On a CPU
it works too, so that a small one can be tried: `--set width=64 layers=2 sizes=[64] sft_sizes=[64,128]`.
"""

import sys
import time
from pathlib import Path
from typing import Any

from stepforge.train.studies.lab import command_line, quietly, say, settings
from stepforge.train.studies.reporting import report
from stepforge.train.studies.scaling import PRESETS, Settings, Study

GPU: dict[str, Any] = PRESETS["terse_teacher"] | {
    "width": 320, "layers": 8, "base_updates": 2000, "batch": 128, "sft_rate": 1e-3, "dpo_rate": 1e-4,
    "prefix_rate": 5e-5, "sizes": (1024, 4096, 16384), "sft_sizes": (1024, 4096, 16384, 65536)}
CORE = ["sft", "rft", "dpo_random", "step_dpo_truncated", "step_dpo_prefix"]


def run(chosen: Settings, out: Path, device: str, seeds: list[int], minutes: float) -> None:
    """Runs in the order of their worth, until the time is up."""
    began = time.monotonic()
    study = Study(chosen, out, device)
    for seed in seeds:
        for size in sorted({*chosen.sizes, *chosen.sft_sizes}):
            if time.monotonic() - began > 54 * minutes:
                say(f"time is up; not started: seed {seed}, {size} problems and what follows")
                return
            study.run([seed], CORE, [size])


def main(argv: list[str] | None = None) -> None:
    """Run what is missing as long as there is time, then report."""
    parser = command_line(__doc__)
    parser.add_argument("--minutes", type=float, default=15, help="time that there is")
    args = parser.parse_args(argv)

    def work() -> None:
        if not args.report:
            chosen = settings(Settings, args.set, GPU, task="terse_teacher")
            run(chosen, args.out, args.device, args.seeds, args.minutes)
        sys.stdout.write(report(args.out, args.to or args.out, resamples=1000))

    quietly("large", work)


if __name__ == "__main__":
    main()
