"""The scaling study: with how many times the problems does SFT reach the error of each method?

    python -m stepforge.train.studies.scaling --task terse_teacher --out build/terse/p6
    python -m stepforge.train.studies.scaling --task terse_teacher --out build/terse/p6 --report

For every data size, arm and seed: train on so many unique problems, then solve held-out ones greedily. SFT and RFT
start from the base model, which all share or, with `--set own_base=true`, every seed has for itself; the other arms
start from the SFT model of their size and seed, or from the model that their name ends in. All share the samples,
negatives and step values of that model (collect.py: the rows are those of a release). SFT also runs at sizes beyond
the arms', so that a multiplier above 1 can be read off at all.
Controls: `sft_longer` is SFT with about as many updates as RFT, `sft-2` and `sft-24` have so many epochs, and
`sft_stepwise` learns from a terse teacher's problems, one operation a line. `rpo` is `dpo_random` with the likelihood
of the chosen side beside it, and `reinforce` samples anew from its own model in every round. The trainers are those of
this package.
Each run leaves one file in --out: what is there is not done again, and processes with different --seeds may work side
by side once the base model is made. `--report` reads the files and writes a JSON and a plot: errors, power laws,
efficiency multipliers with intervals (analysis.py), tokens and FLOPs.
"""

import json
import random
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from stepforge.builders.errors import UserError
from stepforge.builders.tables import derive_seed
from stepforge.train.studies import collect
from stepforge.train.studies.lab import (
    Lab,
    Row,
    Training,
    command_line,
    finished,
    quietly,
    say,
    settings,
    teacher,
)
from stepforge.train.studies.reporting import report
from stepforge.train.studies.sampling import Policy
from stepforge.train.studies.world import TASKS

ARMS = ("sft", "sft_longer", "rft", "dpo_random", "dpo_max_edit", "step_dpo_truncated", "step_dpo_prefix", "awr")
TRUNCATED = "step_dpo_truncated"
AGAIN = {f"{TRUNCATED}-rft": "rft", f"{TRUNCATED}-round2": TRUNCATED}  # arms, and the model they sample and start from
BEST_OF = f"{TRUNCATED}-best5"  # the values are those of the policy that keeps a correct one of five
FROM_TEACHER = ("sft-2", "sft-24", "sft_stepwise")
ON_POLICY = "reinforce"
EXTRAS = (*FROM_TEACHER, *AGAIN, BEST_OF, "rpo", ON_POLICY)


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
    pit_fall: float = -1.0       # least fall of q at a pit, certain at 95%; -1: every pit that the rule names
    margin: float = 0.25         # q_chosen - q_rejected of a shared_prefix pair
    awr_beta: float = 0.5
    awr_most: float = 3.0
    rounds: int = 30             # of REINFORCE
    asked: int = 64              # problems a round, with `samples` solutions each


PRESETS: dict[str, dict[str, Any]] = {  # of a task, where they differ from the defaults; chosen on seeds from 100 on
    "terse_teacher": {
        "sft_sizes": (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384),
        "test_problems": 2200, "base_updates": 800, "batch": 16, "sft_rate": 3e-3, "dpo_rate": 5e-4, "beta": 0.2,
        "prefix_rate": 2e-4, "prefix_beta": 0.5, "samples": 8, "temperature": 1.0, "negatives": 2, "rollouts": 5},
    "reliable": {  # not chosen yet: the rate of pairs is that of `arithmetic`, the samples are as above
                 "sizes": (256, 1024), "sft_sizes": (256, 1024, 4096), "test_problems": 1000, "base_updates": 1500,
                 "dpo_rate": 3e-5, "samples": 8, "temperature": 1.0, "negatives": 2, "rollouts": 5},
}


class Study(Lab):
    """The runs of the scaling study."""

    settings: Settings

    def run(self, seeds: list[int], arms: list[str], only: list[int] | None = None) -> None:
        """What is missing of these arms; `only`: at these sizes of the settings."""
        for number in sorted({self.base_number(seed) for seed in seeds}):
            self.measure("base", 0, number, partial(self.begin, number))
            self.gate(self.begin(number))
        every = {*self.settings.sizes, *self.settings.sft_sizes}
        sizes = sorted(every if only is None else every & set(only))
        for seed in seeds:
            for size in sizes:
                if "sft" in arms or size in self.settings.sizes:
                    self.measure("sft", size, seed, partial(self.sft, size, seed))
                if size in self.settings.sizes:
                    self.arms(size, seed, [arm for arm in arms if arm != "sft" and not self.done(arm, size, seed)])

    def base_number(self, seed: int) -> int:
        return seed if self.settings.own_base else 0

    def begin(self, seed: int) -> Path:
        """The base model that the runs of a seed start from."""
        number = self.base_number(seed)
        return self.base(f"base-{number}" if number else "base", seed=number)

    def gate(self, base: Path) -> None:
        """Refuse a base model that does not know what it should know, or knows what it should not."""
        if self.task.gate is None:
            return
        rows = self.task.gate()
        texts = Policy(base, self.device, self.task.max_tokens).complete([row["prompt"] for row in rows], 0.0, 0)
        right = sum(self.task.correct(rows, texts)) / len(rows)
        say(f"base model: right on {right:.1%} of {len(rows)} single operations")
        if (right >= 0.99) is not self.settings.known:
            raise UserError(f"the base model is right on {right:.1%} of single operations; with known=true it must be "
                            "99% or more, with known=false less; give another --out and --set base_updates=...")

    def problems(self, size: int, seed: int) -> list[Row]:
        """The sizes of a seed are nested: the problems of a small one are the first of a large one."""
        return self.task.draw(size, derive_seed(seed, "problems"), "train")

    def sft(self, size: int, seed: int) -> Path:
        folder = self.model("sft", size, seed)
        return folder if finished(folder) else self.fit("sft", self.begin(seed), teacher(self.problems(size, seed)),
                                                        size, seed)

    def arms(self, size: int, seed: int, todo: list[str]) -> None:
        """What each arm trains on decides where it starts; those that share samples are made together."""
        for arm in todo:
            if arm in FROM_TEACHER:
                self.measure(arm, size, seed, partial(self.taught, arm, size, seed))
            elif arm == ON_POLICY:
                self.measure(arm, size, seed, partial(self.reinforced, size, seed))
        chosen = [arm for arm in todo if arm not in (*FROM_TEACHER, ON_POLICY)]
        first = [arm for arm in chosen if arm not in AGAIN and arm != BEST_OF]
        groups = [("sft", 1, first), ("sft", 5, [arm for arm in chosen if arm == BEST_OF])]
        groups += [(AGAIN[arm], 1, [arm]) for arm in chosen if arm in AGAIN]
        for start, best_of, group in groups:
            if group:
                self.sampled(start, best_of, size, seed, group)

    def taught(self, arm: str, size: int, seed: int) -> Path:
        """SFT with other epochs, or on a teacher who does one operation a line."""
        if arm == "sft_stepwise":
            if self.settings.task != "terse_teacher":
                raise UserError("--arms sft_stepwise: that teacher exists with --task terse_teacher alone")
            rows = TASKS["terse_teacher"](double=0.0).draw(size, derive_seed(seed, "problems"), "train")
            return self.fit(arm, self.begin(seed), teacher(rows), size, seed)
        epochs = int(arm.partition("-")[2])
        return self.fit(arm, self.begin(seed), teacher(self.problems(size, seed)), size, seed, epochs)

    def sampled(self, start: str, best_of: int, size: int, seed: int, group: list[str]) -> None:
        """Arms on what one model samples itself; all but RFT and longer SFT start from that model."""
        model = self.start(start, size, seed, group)
        policy = Policy(model, self.device, self.task.max_tokens)
        with TemporaryDirectory() as folder:
            made = collect.Collection(Path(folder), policy, self.task, self.problems(size, seed),
                                      self.settings.temperature, derive_seed(seed, size, start))
            rows, accuracy = self.rows(made, best_of)
        for arm in group:
            data, tokens = rows[arm if arm in rows else TRUNCATED]
            begin = self.begin(seed) if arm in ("rft", "sft_longer") else model
            self.measure(arm, size, seed, partial(self.fit, arm, begin, data, size, seed),
                         rows=len(data), generated_tokens=tokens, train_accuracy=accuracy)

    def start(self, arm: str, size: int, seed: int, group: list[str]) -> Path:
        """The model of an arm that `group` starts from; UserError where it is missing."""
        model = self.model(arm, size, seed)
        if not finished(model):
            raise UserError(f"{', '.join(group)}: {model} is missing; run --arms {arm} too")
        return model

    def reinforced(self, size: int, seed: int) -> Path:
        """REINFORCE from the SFT model, in rounds: every sample weighs its reward less the mean of its problem's."""
        s, model, costs = self.settings, self.start("sft", size, seed, [ON_POLICY]), list[Row]()
        problems = self.problems(size, seed)
        for turn in range(s.rounds):
            drawn = derive_seed(seed, size, ON_POLICY, turn)
            asked = [row for row in random.Random(drawn).sample(problems, min(s.asked, len(problems)))
                     for _ in range(s.samples)]
            policy = Policy(model, self.device, self.task.max_tokens)
            texts = policy.complete([row["prompt"] for row in asked], s.temperature, drawn)
            rewards = np.array(self.task.correct(asked, texts), float).reshape(-1, s.samples)
            advantages = (rewards - rewards.mean(1, keepdims=True)).ravel().tolist()
            rows = [{"prompt": row["prompt"], "completion": text.text, "complete": text.complete,
                     "ends": [len(text.text)], "weights": [advantage]}
                    for row, text, advantage in zip(asked, texts, advantages, strict=True) if advantage]
            if rows:
                model = self.fit(f"{ON_POLICY}-{turn}", model, rows, size, seed,
                                 updates=max(1, len(rows) // s.batch))
                costs.append(json.loads((model / "cost.json").read_text()))
        total = {key: sum(cost[key] for cost in costs) for key in ("rows", "updates", "train_tokens", "train_flops")}
        if costs:
            (model / "cost.json").write_text(json.dumps(total) + "\n")
        return model

    def rows(self, made: collect.Collection, best_of: int) -> tuple[dict[str, tuple[list[Row], int]], float]:
        """What each arm trains on and the tokens generated for it; and the policy's accuracy on the problems."""
        s, taught = self.settings, teacher(made.problems)
        solutions = made.sample(s.samples)
        sampled = made.policy.generated_tokens
        made.annotate(rollouts=s.rollouts, best_of=best_of, negatives_per_problem=s.negatives,
                      positives_per_problem=1, alternatives_per_pit=1, pit_fall=s.pit_fall)
        options = {"max_positives_per_problem": s.own_positives, "max_negatives_per_problem": s.negatives,
                   "max_pairs_per_problem": s.negatives, "pair_margin": s.margin, "min_pit_drop": s.pit_fall,
                   "weight_beta": s.awr_beta, "weight_max": s.awr_most}
        own, pairs, near, weighted = (made.rows(config, **options)
                                      for config in ("positives", "pairs", "step_pairs", "weighted"))
        known = {(row["prompt"], row["completion"]) for row in taught}
        rft = taught + [row for row in own if (row["prompt"], row["completion"]) not in known]
        valued = made.policy.generated_tokens
        rows = {"sft_longer": (3 * taught, 0), "rft": (rft, sampled), "awr": (weighted, valued)}
        rows |= {arm: ([row for row in pairs if row["rule"] == rule], sampled)
                 for arm, rule in (("dpo_random", "random"), ("dpo_max_edit", "max_edit_distance"))}
        rows["rpo"] = rows["dpo_random"]
        rows |= {arm: ([row for row in near if row["mode"] == mode], valued)
                 for arm, mode in ((TRUNCATED, "full_vs_truncated"), ("step_dpo_prefix", "shared_prefix"))}
        return rows, sum(row["verdict"] == "correct" for row in solutions) / len(solutions)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, then report."""
    parser = command_line(__doc__)
    parser.add_argument("--task", choices=TASKS, default="arithmetic")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=[*ARMS, *EXTRAS])
    parser.add_argument("--sizes", nargs="*", type=int, help="of the settings' sizes those to run now (default: all)")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    args = parser.parse_args(argv)

    def work() -> None:
        if not args.report:
            chosen = settings(Settings, args.set, PRESETS.get(args.task, {}), task=args.task)
            Study(chosen, args.out, args.device).run(args.seeds, args.arms, args.sizes)
        sys.stdout.write(report(args.out, args.to or args.out, args.resamples))

    quietly("scaling", work)


if __name__ == "__main__":
    main()
