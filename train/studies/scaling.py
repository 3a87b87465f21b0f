"""The scaling study: how many times the supervised data is each method worth?

    python -m stepforge.train.studies.scaling --task arithmetic --out build/scaling/arithmetic
    python -m stepforge.train.studies.scaling --task arithmetic --out build/scaling/arithmetic --report

For every data size, arm and seed: train on so many unique problems, then solve held-out ones greedily. SFT and RFT
start from the base model that all share; the other arms start from the SFT model of their size and seed. All share its
samples, negatives and step values (collect.py). SFT also runs at sizes beyond the arms', so that a multiplier above 1
can be read off at all; `sft_longer` is SFT with about as many updates as RFT, for the difference that is training
alone. The trainers are those of this package. Each run leaves one file in --out: what is there is not done
again, and processes with different --seeds may work side by side once the base model is made. `--report` reads the
files and writes a JSON and a plot: errors, power laws, efficiency multipliers with intervals (analysis.py), tokens and
FLOPs.
"""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.builders.tables import derive_seed
from stepforge.train.studies import collect
from stepforge.train.studies.analysis import ArmResult, analyse
from stepforge.train.studies.lab import Lab, Row, Training, command_line, finished, load, quietly, settings, teacher
from stepforge.train.studies.sampling import Policy
from stepforge.train.studies.world import TASKS

ARMS = ("sft", "sft_longer", "rft", "dpo_random", "dpo_max_edit", "step_dpo_truncated", "step_dpo_prefix", "awr")


@dataclass(frozen=True)
class Settings(Training):
    """All that decides a result."""

    sizes: tuple[int, ...] = (64, 128, 256, 512, 1024)
    sft_sizes: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048, 4096)
    samples: int = 16            # a problem, from the SFT model, for RFT's positives and for negatives
    temperature: float = 0.7
    own_positives: int = 4       # RFT's, a problem
    negatives: int = 4           # annotated and paired, a problem
    rollouts: int = 8            # a step
    margin: float = 0.25         # q_chosen - q_rejected of a shared_prefix pair
    awr_beta: float = 0.5
    awr_most: float = 3.0


class Study(Lab):
    """The runs of the scaling study."""

    settings: Settings

    def run(self, seeds: list[int], arms: list[str]) -> None:
        base = self.base()
        self.measure("base", 0, 0, lambda: base)
        for seed in seeds:
            for size in sorted({*self.settings.sizes, *self.settings.sft_sizes}):
                self.measure("sft", size, seed, partial(self.sft, size, seed))
                todo = [arm for arm in arms if arm != "sft" and not self.done(arm, size, seed)]
                if size in self.settings.sizes and todo:
                    self.arms(size, seed, todo)

    def problems(self, size: int, seed: int) -> list[Row]:
        """The sizes of a seed are nested: the problems of a small one are the first of a large one."""
        return self.task.draw(size, derive_seed(seed, "problems"), "train")

    def sft(self, size: int, seed: int) -> Path:
        folder = self.model("sft", size, seed)
        return folder if finished(folder) else self.fit("sft", self.base(), teacher(self.problems(size, seed)), size,
                                                        seed)

    def arms(self, size: int, seed: int, todo: list[str]) -> None:
        """The arms that start from the SFT model of this size and seed, on what it samples itself."""
        start = self.sft(size, seed)
        policy = Policy(start, self.device, self.task.max_tokens)
        rows, accuracy = self.rows(policy, size, seed)
        for arm in todo:
            made, tokens = rows[arm]
            begin = self.base() if arm in ("rft", "sft_longer") else start
            self.measure(arm, size, seed, partial(self.fit, arm, begin, made, size, seed),
                         rows=len(made), generated_tokens=tokens, train_accuracy=accuracy)

    def rows(self, policy: Policy, size: int, seed: int) -> tuple[dict[str, tuple[list[Row], int]], float]:
        """What each arm trains on and the tokens generated for it; and the policy's accuracy on the problems."""
        s, draws = self.settings, (self.settings.temperature, derive_seed(seed, size))
        found = collect.draw(policy, self.task, self.problems(size, seed), s.samples, *draws)
        sampled = policy.generated_tokens
        collect.annotate(policy, self.task, found, 1, s.negatives, s.rollouts, *draws)
        valued = policy.generated_tokens
        near = collect.prefix_pairs(policy, self.task, found, s.rollouts, s.margin, *draws)
        return {
            "sft_longer": (3 * teacher(found.problems), 0),  # as many rows, so updates, as RFT
            "rft": (collect.own_positives(found, s.own_positives), sampled),
            "dpo_random": (collect.response_pairs(found, s.negatives, "random", seed), sampled),
            "dpo_max_edit": (collect.response_pairs(found, s.negatives, "max_edit_distance", seed), sampled),
            "step_dpo_truncated": (collect.truncated_pairs(found, seed), valued),
            "step_dpo_prefix": (near, policy.generated_tokens),
            "awr": (collect.weighted(found, s.awr_beta, s.awr_most), valued),
        }, float(np.mean(found.base))


def report(out: Path, to: Path, resamples: int) -> list[ArmResult]:
    """Analyse a folder; write scaling_TASK.json and scaling_TASK.svg into `to`. UserError if SFT has one size only."""
    results, solved = load(out)
    if len({size for arm, size, _ in solved if arm == "sft"}) < 2:
        raise UserError(f"{out} has SFT at fewer than two sizes, off which nothing can be read; run more of the study")
    settings = json.loads((out / "settings.json").read_text())
    arms = {key: row for key, row in solved.items() if key[0] != "base"}
    found = analyse(arms, seed=0, resamples=resamples)
    runs = [{key: value for key, value in row.items() if key != "solved"} for row in results]
    told = [{"arm": one.arm, "errors": one.errors, "multipliers": {k: str(v) for k, v in one.multipliers.items()},
             "overall": str(one.overall), "interval": [str(one.low), str(one.high)],
             "power_law": one.law and one.law._asdict()} for one in found]
    name = f"scaling_{settings['task']}"
    to.mkdir(parents=True, exist_ok=True)
    with replacing(to / f"{name}.json") as temporary:
        temporary.write_text(json.dumps({"settings": settings, "arms": told, "runs": runs}, indent=1) + "\n")
    plot(found, to / f"{name}.svg")
    return found


def plot(found: list[ArmResult], file: Path) -> None:
    """Error against the number of unique problems, both logarithmic, one line an arm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for one in found:
        axes.plot(list(one.errors), list(one.errors.values()), marker="o", label=f"{one.arm} ({one.overall})")
    axes.set(xscale="log", yscale="log", xlabel="unique problems", ylabel="error on held-out problems (greedy)")
    axes.legend(fontsize="small")
    with replacing(file) as temporary:
        figure.savefig(temporary, format="svg")


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, then report."""
    parser = command_line(__doc__)
    parser.add_argument("--task", choices=TASKS, default="arithmetic")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS)
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    args = parser.parse_args(argv)

    def work() -> None:
        if not args.report:
            Study(settings(Settings, args.set, task=args.task), args.out, args.device).run(args.seeds, args.arms)
        for one in report(args.out, args.to or args.out, args.resamples):
            curve = ", ".join(f"{size}: {error:.3f}" for size, error in one.errors.items())
            sys.stdout.write(f"{one.arm:20} {str(one.overall):>8} ({one.low} to {one.high})   {curve}\n")

    quietly("scaling", work)


if __name__ == "__main__":
    main()
