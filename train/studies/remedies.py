"""Remedies: what moves the arms of the scaling study, at one size, from the very same SFT models?

    python -m stepforge.train.studies.remedies --out build/remedies --models build/scaling/arithmetic --size 256

In: a finished scaling study (its base and SFT models, its settings) and a size. For each remedy, one or two settings
are changed and the preference arms are trained again. Out: remedies.json: of every remedy and arm the error less that
of SFT, with an interval over seeds and held-out problems, and the number of pairs.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.train.studies import scaling
from stepforge.train.studies.analysis import paired
from stepforge.train.studies.lab import Row, command_line, finished, load, quietly, stored

ARMS = ("dpo_random", "step_dpo_truncated", "step_dpo_prefix")
REMEDIES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "with SFT loss": {"sft_weight": 1.0},
    "beta 0.5": {"beta": 0.5},
    "rate 3e-5": {"dpo_rate": 3e-5},
    "one epoch": {"dpo_epochs": 1},
    "length normalised": {"length_normalised": True, "beta": 1.0},
    "beta 0.1": {"beta": 0.1},
    "4 negatives": {"negatives": 4},
    "32 rollouts": {"rollouts": 32},
    "margin 0.5": {"margin": 0.5},
}


def run(out: Path, models: Path, size: int, seeds: list[int], names: list[str], device: str) -> None:
    """What is missing of each remedy, in a folder of its own."""
    settings = stored(scaling.Settings, models)
    for name in names:
        one = replace(settings, **REMEDIES[name], sizes=(size,), sft_sizes=(size,))
        study = scaling.Study(one, out / name.replace(" ", "_"), device)
        for folder in ["base", *(f"sft-{size}-{seed}" for seed in seeds)]:
            if not finished(models / "models" / folder):
                raise UserError(f"{models} has no model {folder} yet; run the scaling study up to --size {size} first")
            shared = study.out / "models" / folder
            if not shared.exists():
                shared.parent.mkdir(parents=True, exist_ok=True)
                shared.symlink_to((models / "models" / folder).resolve())
        study.run(seeds, list(ARMS))


def report(out: Path, to: Path) -> list[Row]:
    """One row a remedy and arm, in remedies.json."""
    rows = []
    for folder in sorted(file.parent for file in out.glob("*/settings.json")):
        results, solved = load(folder)
        of = {arm: {seed: row for (name, _, seed), row in solved.items() if name == arm} for arm in ("sft", *ARMS)}
        for arm in ARMS:
            made = [row["rows"] for row in results if row["arm"] == arm]
            if made:
                rows.append({"remedy": folder.name, "arm": arm, "pairs": float(np.mean(made)), "seeds": len(of[arm]),
                             "error - SFT's": paired(of[arm], of["sft"])})
    to.mkdir(parents=True, exist_ok=True)
    with replacing(to / "remedies.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, then report."""
    parser = command_line(__doc__, seeds=(0,))
    parser.add_argument("--models", type=Path, required=True, help="folder of a finished scaling study")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--remedies", nargs="*", default=list(REMEDIES), choices=REMEDIES)
    args = parser.parse_args(argv)

    def work() -> None:
        if not args.report:
            run(args.out, args.models, args.size, args.seeds, args.remedies, args.device)
        for row in report(args.out, args.to or args.out):
            gap, low, high = row["error - SFT's"]
            sys.stdout.write(f"{row['remedy']:20} {row['arm']:20} {gap:+.3f} ({low:+.3f} to {high:+.3f})\n")

    quietly("remedies", work)


if __name__ == "__main__":
    main()
