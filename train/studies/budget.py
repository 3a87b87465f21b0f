"""The budget study: at equal compute, is a weak generator's data worth more than a strong one's?

    python -m stepforge.train.studies.budget --out build/budget

After arXiv 2408.16737. A weak model (width 64) and a strong one (width 96, a layer more) are fine-tuned on the same
few teacher solutions and then sample the same new problems. The strong one draws `samples` solutions a problem, the
weak one as many as the same FLOPs buy, samples * (P_strong * W_strong) / (P_weak * W_weak), P parameters and W mean
tokens a sample, rounded down; the control `matched` takes only `samples` of the weak one's. Of each, the distinct
correct solutions are training data. Three set-ups, all trained for the same number of updates: `student` (the untuned
weak model), `self` (the weak generator, which learns from itself or from the strong one), `w2s` (the strong generator,
likewise). Writes budget.json: what each data set is like (coverage, unique correct solutions a problem, share with a
false equation), and the error of every set-up and data set with the difference weak - strong, paired by problem.
"""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from stepforge.builders.files import replacing
from stepforge.builders.tables import derive_seed
from stepforge.pipelines.answers.arithmetic import first_false_step
from stepforge.train.studies import collect
from stepforge.train.studies.analysis import paired
from stepforge.train.studies.lab import Lab, Row, Training, command_line, finished, load, quietly, settings, teacher
from stepforge.train.studies.sampling import Policy

SETUPS, DATA = ("student", "self", "w2s"), ("strong", "weak", "matched")
SIZES = {"weak": (64, 2), "strong": (96, 3)}  # width and layers of the generators


@dataclass(frozen=True)
class Settings(Training):
    """All that decides a result. With `epochs` 0 every model gets `least_updates` updates, whatever its data."""

    epochs: int = 0
    least_updates: int = 120
    taught: int = 512            # problems whose teacher solutions both generators are fine-tuned on
    problems: int = 512          # new ones, which they sample
    samples: int = 4             # a problem, from the strong one
    temperature: float = 0.7
    positives: int = 30          # distinct correct solutions kept, a problem


class Study(Lab):
    """The runs of the budget study."""

    settings: Settings

    def run(self, seeds: list[int]) -> None:
        s = self.settings
        for seed in seeds:
            todo = [(how, data) for how in SETUPS for data in DATA if not self.done(f"{how}-{data}", s.problems, seed)]
            for name in SIZES:
                self.measure(f"generator-{name}", s.taught, seed, partial(self.generator, name, seed))
            if not todo:
                continue
            rows, about = self.data(seed)
            for how, data in todo:
                self.measure(f"{how}-{data}", s.problems, seed, partial(self.tuned, how, data, rows[data], seed),
                             data=about[data])

    def generator(self, name: str, seed: int) -> Path:
        taught, folder = self.settings.taught, self.model(f"generator-{name}", self.settings.taught, seed)
        if finished(folder):
            return folder
        rows = teacher(self.task.draw(taught, derive_seed(seed, "taught"), "train"))
        return self.fit(f"generator-{name}", self.base(f"base-{name}", *SIZES[name]), rows, taught, seed)

    def tuned(self, how: str, data: str, rows: list[Row], seed: int) -> Path:
        starts = {"student": lambda: self.base("base-weak", *SIZES["weak"]),
                  "self": lambda: self.generator("weak", seed), "w2s": lambda: self.generator("strong", seed)}
        return self.fit(f"{how}-{data}", starts[how](), rows, self.settings.problems, seed)

    def data(self, seed: int) -> tuple[dict[str, list[Row]], dict[str, Row]]:
        """Training rows of each data set, and what each is like."""
        s = self.settings
        problems = self.task.draw(s.problems, derive_seed(seed, "sampled"), "train")
        policies = {name: Policy(self.generator(name, seed), self.device, self.task.max_tokens) for name in SIZES}

        def sampled(name: str, samples: int) -> tuple[list[Row], int]:
            """Positives of a release, and the tokens of all samples."""
            before = policies[name].generated_tokens
            with TemporaryDirectory() as folder:
                made = collect.Collection(Path(folder), policies[name], self.task, problems, s.temperature,
                                          derive_seed(seed, name))
                made.sample(samples)
                positives = made.rows("positives", max_positives_per_problem=s.positives)
            return positives, policies[name].generated_tokens - before

        strong, spent = sampled("strong", s.samples)
        matched, spent_weakly = sampled("weak", s.samples)
        ratio = policies["strong"].parameters * spent / (policies["weak"].parameters * spent_weakly)
        weak, spent_on_weak = sampled("weak", int(s.samples * ratio))
        rows, about = {}, {}
        for name, found, tokens, model in (("strong", strong, spent, "strong"), ("weak", weak, spent_on_weak, "weak"),
                                           ("matched", matched, spent_weakly, "weak")):
            rows[name] = found
            false = [float(first_false_step(self.task.steps(row["completion"])) is not None) for row in rows[name]]
            about[name] = {
                "samples": int(s.samples * ratio) if name == "weak" else s.samples, "tokens": tokens,
                "flops": 2 * policies[model].parameters * tokens, "positives": len(rows[name]),
                "coverage": len({row["problem_id"] for row in found}) / len(problems),
                "unique_correct": len(rows[name]) / len(problems), "false_equation": float(np.mean(false or [0.0]))}
        return rows, about


def report(out: Path, to: Path) -> dict[str, Row]:
    """Errors, differences and data sets; write budget.json into `to`."""
    results, solved = load(out)
    told: dict[str, Row] = {}
    for how in SETUPS:
        arms = {data: {key[2]: row for key, row in solved.items() if key[0] == f"{how}-{data}"} for data in DATA}
        told[how] = {"error": {data: 1 - float(np.mean(list(rows.values()))) for data, rows in arms.items() if rows}}
        for data in ("weak", "matched"):
            told[how][f"{data} - strong"] = paired(arms[data], arms["strong"])
    runs = [{key: value for key, value in row.items() if key != "solved"} for row in results]
    to.mkdir(parents=True, exist_ok=True)
    with replacing(to / "budget.json") as temporary:
        temporary.write_text(json.dumps({"settings": json.loads((out / "settings.json").read_text()), "setups": told,
                                         "runs": runs}, indent=1) + "\n")
    return told


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, then report."""
    args = command_line(__doc__).parse_args(argv)

    def work() -> None:
        if not args.report:
            Study(settings(Settings, args.set, task="arithmetic"), args.out, args.device).run(args.seeds)
        for how, told in report(args.out, args.to or args.out).items():
            sys.stdout.write(f"{how:8} {json.dumps(told)}\n")

    quietly("budget", work)


if __name__ == "__main__":
    main()
