"""The budget study: at equal compute, is a weak generator's data worth more than a strong one's?

    python -m stepforge.train.studies.budget --out build/budget

After arXiv 2408.16737. A weak model and a strong one are fine-tuned on the same few teacher solutions and then sample
the same new problems. The strong one draws `samples` solutions a problem, the weak one as many as the same FLOPs buy,
samples * (P_strong * W_strong) / (P_weak * W_weak), P parameters and W mean tokens a sample, rounded down. Controls:
`matched` takes only `samples` of the weak one's; `mixed` spends the budget of half of the problems on either model. Of
each, the distinct correct solutions are training data. Three set-ups, all trained for the same number of updates:
`student` (the untuned weak model), `self` (the weak generator, which learns from itself or from the strong one), `w2s`
(the strong generator, likewise). With several `updates` every arm has its own best, chosen on other problems. Writes
budget.json: what each data set is like (coverage, beside what a Beta model expects of the pass rate; unique correct
solutions a problem; share with a false equation), and the error of every set-up and data set with the differences to
strong data, paired by problem.
"""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from stepforge.builders.files import replacing
from stepforge.builders.tables import derive_seed
from stepforge.pipelines.answers.arithmetic import first_false_step
from stepforge.train.studies import collect
from stepforge.train.studies.analysis import expected_coverage, paired
from stepforge.train.studies.lab import (
    Lab,
    Row,
    Training,
    command_line,
    finished,
    load,
    quietly,
    settings,
    stored,
    teacher,
)
from stepforge.train.studies.sampling import Policy

SETUPS, DATA = ("student", "self", "w2s"), ("strong", "weak", "matched", "mixed")
NAMES = ("weak", "strong")  # of the generators


@dataclass(frozen=True)
class Settings(Training):
    """All that decides a result. `width` and `layers` are those of the weak model and of the student."""

    strong_width: int = 96
    strong_layers: int = 3
    strong_updates: int = 0      # of the strong base model; 0 for `base_updates`. Fewer bring the two closer
    updates: tuple[int, ...] = (120,)  # of every fine-tuned model; of several the best on `chosen_on` problems is kept
    chosen_on: int = 500
    pair: int = -1               # the seed of the two generators that all seeds share; -1: each seed has its own
    taught: int = 512            # problems whose teacher solutions both generators are fine-tuned on
    problems: int = 512          # new ones, which they sample
    samples: int = 4             # a problem, from the strong one
    temperature: float = 0.7
    positives: int = 30          # distinct correct solutions kept, a problem
    setups: tuple[str, ...] = SETUPS


class Study(Lab):
    """The runs of the budget study."""

    settings: Settings

    def run(self, seeds: list[int]) -> None:
        s = self.settings
        for seed in seeds:
            todo = [(how, data) for how in s.setups for data in DATA
                    if not self.done(f"{how}-{data}", s.problems, seed)]
            for name in NAMES:
                self.measure(f"generator-{name}", s.taught, seed, partial(self.generator, name, seed))
            if not todo:
                continue
            rows, about = self.data(seed)
            for how, data in todo:
                self.measure(f"{how}-{data}", s.problems, seed, partial(self.tuned, how, data, rows[data], seed),
                             data=about[data])

    def base_of(self, name: str) -> Path:
        s = self.settings
        if name == "weak":
            return self.base("base-weak")
        return self.base("base-strong", s.strong_width, s.strong_layers, s.strong_updates)

    def generator(self, name: str, seed: int) -> Path:
        seed = seed if self.settings.pair < 0 else self.settings.pair
        taught, folder = self.settings.taught, self.model(f"generator-{name}", self.settings.taught, seed)
        if finished(folder):
            return folder
        rows = teacher(self.task.draw(taught, derive_seed(seed, "taught"), "train"))
        return self.fit(f"generator-{name}", self.base_of(name), rows, taught, seed, updates=self.settings.updates[-1])

    def tuned(self, how: str, data: str, rows: list[Row], seed: int) -> Path:
        """The model of the schedule that does best on problems which neither training nor test has."""
        starts = {"student": lambda: self.base_of("weak"), "self": lambda: self.generator("weak", seed),
                  "w2s": lambda: self.generator("strong", seed)}
        s, start = self.settings, starts[how]()
        made = [self.fit(f"{how}-{data}-{updates}", start, rows, s.problems, seed, updates=updates)
                for updates in s.updates]
        return made[0] if len(made) == 1 else max(made, key=self.chosen)

    def chosen(self, folder: Path) -> int:
        """How many of the problems to choose on a model solves."""
        rows = self.task.draw(self.settings.chosen_on, 0, "validation")
        texts = Policy(folder, self.device, self.task.max_tokens).complete([row["prompt"] for row in rows], 0.0, 0)
        return sum(self.task.correct(rows, texts))

    def data(self, seed: int) -> tuple[dict[str, list[Row]], dict[str, Row]]:
        """Training rows of each data set, and what each is like."""
        s = self.settings
        problems = self.task.draw(s.problems, derive_seed(seed, "sampled"), "train")
        policies = {name: Policy(self.generator(name, seed), self.device, self.task.max_tokens) for name in NAMES}

        def sampled(name: str, samples: int) -> Sampled:
            """Positives of a release, and what all samples cost."""
            before = policies[name].generated_tokens
            with TemporaryDirectory() as folder:
                made = collect.Collection(Path(folder), policies[name], self.task, problems, s.temperature,
                                          derive_seed(seed, name))
                verdicts = [row["verdict"] for row in made.sample(samples)]
                positives = made.rows("positives", max_positives_per_problem=s.positives)
            tokens = policies[name].generated_tokens - before
            return Sampled(positives, samples, tokens, 2 * policies[name].parameters * tokens,
                           verdicts.count("correct") / len(verdicts))

        strong, matched = sampled("strong", s.samples), sampled("weak", s.samples)
        bought = int(s.samples * strong.flops / matched.flops)
        made = {"strong": strong, "weak": sampled("weak", bought), "matched": matched}
        about = {name: self.like(one.rows, len(problems)) | {
            "samples": one.samples, "tokens": one.tokens, "flops": one.flops, "pass_rate": one.pass_rate,
            "coverage_expected": expected_coverage(one.pass_rate, one.samples)} for name, one in made.items()}
        first = {row["problem_id"] for row in problems[:len(problems) // 2]}
        mixed = [row for row in strong.rows if row["problem_id"] in first]
        mixed += [row for row in made["weak"].rows if row["problem_id"] not in first]
        rows = {name: one.rows for name, one in made.items()} | {"mixed": mixed}
        return rows, about | {"mixed": self.like(mixed, len(problems))}

    def like(self, rows: list[Row], problems: int) -> Row:
        false = [float(first_false_step(self.task.steps(row["completion"])) is not None) for row in rows]
        return {"positives": len(rows), "coverage": len({row["problem_id"] for row in rows}) / problems,
                "unique_correct": len(rows) / problems, "false_equation": float(np.mean(false or [0.0]))}


class Sampled(NamedTuple):
    """Distinct correct solutions, and what `samples` for each problem were like."""

    rows: list[Row]
    samples: int
    tokens: int
    flops: int
    pass_rate: float


def report(out: Path, to: Path) -> dict[str, Row]:
    """Errors, differences and data sets; write budget.json into `to`."""
    results, solved = load(out)
    setups: dict[str, Row] = {}
    for how in stored(Settings, out).setups:
        arms = {data: {key[2]: row for key, row in solved.items() if key[0] == f"{how}-{data}"} for data in DATA}
        setups[how] = {"error": {data: 1 - float(np.mean(list(rows.values()))) for data, rows in arms.items() if rows}}
        for data in DATA[1:]:
            setups[how][f"{data} - strong"] = paired(arms[data], arms["strong"])
    runs = [{key: value for key, value in row.items() if key != "solved"} for row in results]
    to.mkdir(parents=True, exist_ok=True)
    with replacing(to / "budget.json") as temporary:
        temporary.write_text(json.dumps({"settings": json.loads((out / "settings.json").read_text()), "setups": setups,
                                         "runs": runs}, indent=1) + "\n")
    return setups


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, then report."""
    args = command_line(__doc__).parse_args(argv)

    def work() -> None:
        if not args.report:
            Study(settings(Settings, args.set, task="arithmetic"), args.out, args.device).run(args.seeds)
        for how, setup in report(args.out, args.to or args.out).items():
            sys.stdout.write(f"{how:8} {json.dumps(setup)}\n")

    quietly("budget", work)


if __name__ == "__main__":
    main()
