"""Mechanism checks: why do per-step negatives help?

    python -m stepforge.train.studies.mechanism --out build/mechanism --models build/scaling/arithmetic --size 256

Three questions of arXiv 2406.14532, each in a folder of its own under --out, all told in mechanism.json:
`steps`: how does each arm move Q at every step? The SFT model of a finished scaling study (--models, --size) samples
one solution of held-out problems; after every step of it the model of each arm continues. Q is the share of correct
continuations, step 0 the bare problem; differences to SFT are paired by problem.
`spurious`: half of the teacher's solutions get a line that is true and leads nowhere ("Note that 3 * 8 = 24."). What
is such a step's advantage beside that of other steps? How often does each arm write one on held-out problems?
`starts`: on star graphs, what does each arm gain over an SFT model that was trained briefly, and over one that was
trained long?
"""

import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from stepforge.builders.files import replacing
from stepforge.builders.tables import derive_seed
from stepforge.train.studies import collect, scaling
from stepforge.train.studies.lab import Row, command_line, finished, load, quietly, say, settings
from stepforge.train.studies.sampling import Policy
from stepforge.train.studies.world import TASKS

PARTS = ("steps", "spurious", "starts")
SPURIOUS = "Note that "
EPOCHS = {"brief": 3, "long": 30}  # of the SFT models on star graphs


def q_per_step(models: dict[str, Path], task_name: str, problems: int, rollouts: int, device: str) -> dict[str, Row]:
    """Of each arm its Q after every step of the SFT model's solutions, and the difference to SFT with an interval."""
    task = TASKS[task_name]()
    asked = task.draw(problems, 1, "test")
    written = Policy(models["sft"], device, task.max_tokens).complete([row["prompt"] for row in asked], 0.7, 0)
    steps = [task.steps(text.text) for text in written]
    depth = min(6, max(map(len, steps)) - 1)
    values: dict[str, np.ndarray] = {}
    for arm, folder in models.items():
        policy = Policy(folder, device, task.max_tokens)
        values[arm] = np.full((problems, depth + 1), np.nan)
        for step in range(depth + 1):
            there = [place for place, q in enumerate(steps) if len(q) > step]
            prefixes = [(asked[place], "".join(steps[place][:step])) for place in there]
            made = collect.roll_out(policy, task, prefixes, rollouts, 0.7, derive_seed(arm, step))
            values[arm][there, step] = [np.mean(outcomes) for outcomes in made]
    return {arm: {"q": np.nanmean(q, 0).tolist(), "gain": [gain(q[:, step] - values["sft"][:, step])
                                                              for step in range(depth + 1)]}
            for arm, q in values.items()}


def gain(differences: np.ndarray) -> list[float]:
    """Mean and 95% interval (normal) of differences; those that are not a number are left out, and none gives []."""
    paired = differences[~np.isnan(differences)]
    if not len(paired):
        return []
    half = 1.96 * float(paired.std()) / len(paired) ** 0.5
    mean = float(paired.mean())
    return [mean, mean - half, mean + half]


class Spurious(scaling.Study):
    """A scaling study whose teacher writes a useless line into half of its solutions.

    Its base model has a token for how such a line begins: what a model cannot spell it does not copy.
    """

    phrases = (SPURIOUS + "3",)

    def problems(self, size: int, seed: int) -> list[Row]:
        return [row | {"solution": injected(row)} for row in super().problems(size, seed)]

    def look(self, size: int, seed: int, arms: Sequence[str], held_out: int) -> Row:
        """How often each arm's model writes such a line, and what such steps are worth to the SFT model."""
        measured: Row = {"rate": {}}
        for arm in arms:
            folder = self.model(arm, size, seed)
            if finished(folder):
                policy = Policy(folder, self.device, self.task.max_tokens)
                texts = policy.complete([row["prompt"] for row in self.tests[:held_out]], 0.7, 0)
                measured["rate"][arm] = gain(np.array([SPURIOUS in text.text for text in texts], float))
        s = self.settings
        policy = Policy(self.model("sft", size, seed), self.device, self.task.max_tokens)
        with TemporaryDirectory() as temporary:
            made = collect.Collection(Path(temporary), policy, self.task, self.problems(size, seed), s.temperature,
                                      seed)
            made.sample(s.samples)
            made.annotate(rollouts=s.rollouts, positives_per_problem=2, negatives_per_problem=0)
            steps = [row for row in made.table("steps") if row["advantage"] is not None]
        useless = [row["advantage"] for row in steps if row["step"].startswith(SPURIOUS)]
        others = [row["advantage"] for row in steps if not row["step"].startswith(SPURIOUS)]
        return measured | {"advantage": {"spurious": gain(np.array(useless)),
                                         "other": gain(np.array(others))}}


def injected(row: Row) -> str:
    """The solution with, for every other problem, one more line: a true and useless product of two of its numbers."""
    rng = random.Random(derive_seed("spurious", row["problem_id"]))
    numbers = [int(number) for number in re.findall(r"\d+", row["prompt"]) if int(number) < 13]
    if len(numbers) < 2 or rng.random() < 0.5:
        return str(row["solution"])
    first, second = rng.sample(numbers, 2)
    lines = row["solution"].split("\n")
    lines.insert(rng.randrange(len(lines) - 1), f"{SPURIOUS}{first} * {second} = {first * second}.")
    return "\n".join(lines)


def run_steps(out: Path, models: Path, size: int, seeds: list[int], problems: int, device: str) -> None:
    """One file a seed in out/steps, from the models of a scaling study."""
    task = json.loads((models / "settings.json").read_text())["task"]
    for seed in seeds:
        file = out / "steps" / f"{seed}.json"
        folders = {arm: models / "models" / f"{arm}-{size}-{seed}" for arm in scaling.ARMS}
        there = {arm: folder for arm, folder in folders.items() if finished(folder)}
        if not file.is_file() and "sft" in there:
            steps = q_per_step(there, task, problems, 4, device)
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(steps) + "\n")
            say(f"steps, seed {seed}: " + ", ".join(f"{arm} {np.mean(one['q']):.3f}" for arm, one in steps.items()))


def run_spurious(out: Path, chosen: scaling.Settings, size: int, seeds: list[int], device: str) -> None:
    """One file a seed in out/spurious."""
    study = Spurious(replace(chosen, sizes=(size,), sft_sizes=(size,)), out / "spurious", device)
    arms = [arm for arm in scaling.ARMS if arm != "dpo_max_edit"]
    for seed in seeds:
        file = out / "spurious" / f"{seed}.json"
        if not file.is_file():
            study.run([seed], arms)
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(study.look(size, seed, arms, 1000)) + "\n")


def share(base: Path, study: scaling.Study) -> None:
    """Let a study start from the base model of another: the same one, so it need not be made twice."""
    folder = study.out / "models" / "base"
    if finished(base) and not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(base.resolve())


def run_starts(out: Path, chosen: scaling.Settings, size: int, seeds: list[int], device: str) -> None:
    """Two scaling studies of one size on star graphs, in out/starts-brief and out/starts-long."""
    base = out / "starts-brief" / "models" / "base"
    for name, epochs in EPOCHS.items():
        one = replace(chosen, task="star_graph", epochs=epochs, least_updates=1, sizes=(size,), sft_sizes=(size,))
        study = scaling.Study(one, out / f"starts-{name}", device)
        share(base, study)
        study.run(seeds, ["sft", "dpo_random", "step_dpo_truncated", "step_dpo_prefix"])


def report(out: Path, to: Path) -> Row:
    """All that is there, in mechanism.json."""
    measured: Row = {name: [json.loads(file.read_text()) for file in sorted((out / name).glob("[0-9]*.json"))]
                     for name in ("steps", "spurious")}
    for name in [f"starts-{start}" for start in EPOCHS] + ["spurious"]:
        if (out / name / "results").is_dir():
            results, _ = load(out / name)
            measured[f"{name} errors"] = {f"{row['arm']} {row['seed']}": round(row["error"], 4) for row in results}
    to.mkdir(parents=True, exist_ok=True)
    with replacing(to / "mechanism.json") as temporary:
        temporary.write_text(json.dumps(measured, indent=1) + "\n")
    if measured["steps"]:
        plot(measured["steps"], to / "mechanism.svg")
    return measured


def plot(seeds: list[Row], file: Path) -> None:
    """Change of Q at every step against SFT, one line an arm, the mean over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for arm in seeds[0]:
        depth = min(len(one[arm]["gain"]) for one in seeds if arm in one)
        curve = np.mean([[mean for mean, *_ in one[arm]["gain"][:depth]] for one in seeds if arm in one], 0)
        axes.plot(range(depth), curve, marker="o", label=arm)
    axes.set(xlabel="steps of the SFT model's solution that are given", ylabel="Q less that of SFT")
    axes.legend(fontsize="small")
    with replacing(file) as temporary:
        figure.savefig(temporary, format="svg")


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, then report."""
    parser = command_line(__doc__, seeds=(0,))
    parser.add_argument("--models", type=Path, required=True, help="folder of a scaling study on arithmetic")
    parser.add_argument("--size", type=int, default=256, help="number of problems of the models looked at")
    parser.add_argument("--problems", type=int, default=300, help="held-out problems whose steps are valued")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS, help="questions to ask")
    args = parser.parse_args(argv)

    def work() -> None:
        parts = [] if args.report else args.parts
        chosen = settings(scaling.Settings, args.set, task="arithmetic")
        if "steps" in parts:
            run_steps(args.out, args.models, args.size, args.seeds, args.problems, args.device)
        if "spurious" in parts:
            run_spurious(args.out, chosen, args.size, args.seeds, args.device)
        if "starts" in parts:
            run_starts(args.out, chosen, args.size, args.seeds, args.device)
        sys.stdout.write(json.dumps(report(args.out, args.to or args.out), indent=1) + "\n")

    quietly("mechanism", work)


if __name__ == "__main__":
    main()
