"""How good is a model on held-out problems: greedy pass@1, pass@k, maj@k and best-of-n, with intervals.

    python -m stepforge.train.evaluate --model MODEL --source arithmetic --limit 1000 --samples 16 --out new.jsonl
    python -m stepforge.train.evaluate --out new.jsonl --compare old.jsonl

In: a model, a source of problems (its test split unless told otherwise). Out: one JSON line a problem in --out, with
every text and verdict, and the estimates beside it in a .summary.json and on screen. Problems that have been evaluated
stand in the file, so two models can be compared problem by problem afterwards. `--variant SEED` gives the arithmetic
problems new numbers: a model that has learnt by heart falls off there.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.builders.outcomes import UNANSWERED
from stepforge.builders.sources import arithmetic
from stepforge.builders.sources.records import Drop
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.answers import Claim, Verdict, open_verifier, versions
from stepforge.pipelines.credit.split import split
from stepforge.pipelines.inference.models import check_exists
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.inference.sample import sample
from stepforge.pipelines.inference.step_scores import OF_STEPS, score_steps
from stepforge.pipelines.options.base import Splitter
from stepforge.pipelines.options.sources import Source
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.stages.problems import rows_of
from stepforge.train.estimates import (
    Comparison,
    Estimate,
    best_of_n,
    compare,
    maj_at_k,
    mean_over_problems,
    pass_at_k,
    proportion,
    weighted_maj_at_k,
)
from stepforge.train.processbench import processbench
from stepforge.train.reasoning import false_positives, judge

Row = dict[str, Any]
PROBLEMS = 500
BEST_OF = {f"best-of-{name}": function for name, function in OF_STEPS.items()}


def problems(name: str, options: Sequence[str], limit: int, variant: int | None) -> tuple[list[Row], Counter[str]]:
    """Problems of a source of the recipe, with `key=value` options in YAML, and how many were left out, by reason.

    UserError for what is not allowed.
    """
    given: dict[str, Any] = {"source": {"file": "files"}.get(name, name), "split": "test", "limit": limit}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise UserError(f"--with {option!r}: write key=value, such as steps=[3,4] or paths=[mine.jsonl]")
        given[key] = yaml.safe_load(value)
    try:
        source = TypeAdapter(Source).validate_python(given)
    except ValidationError as error:
        raise UserError(f"--source {name}: {error}") from error
    try:
        records = list(rows_of(source))
    except ValueError as error:
        raise UserError(f"--source {name}: {error}") from error
    rows = [row for row in records if not isinstance(row, Drop)]
    if variant is not None:
        if name != "arithmetic":
            raise UserError(f"--variant works with --source arithmetic, not {name}: only there can numbers be redrawn")
        rows = [arithmetic.variant(row["source_id"], variant) for row in rows]
    if not rows:
        raise UserError(f"--source {name} returned no problem that can be read")
    unique = {content_id("problem", row["problem"], row["answer"]): row for row in rows}
    left_out = Counter(row.reason for row in records if isinstance(row, Drop))
    left_out += Counter(duplicate=len(rows) - len(unique))
    return [{"problem_id": problem_id} | row for problem_id, row in unique.items()], left_out


def answer(model: str, rows: Sequence[Row], args: argparse.Namespace) -> list[Row]:
    """Sample every problem greedily once and --samples times, and judge all of it; one row a problem."""
    versions(args.verifier)  # one that cannot be used is told before anything is sampled
    prompts = [render(args.prompt, row["problem"], args.model) for row in rows]
    common = {"max_tokens": args.max_tokens, "stop": args.stop}
    try:
        greedy = sample(model, prompts, samples=1, temperature=0.0, top_p=1.0, seed=args.seed, **common)
        drawn = [[] for _ in rows] if args.samples == 0 else sample(
            model, prompts, samples=args.samples, temperature=args.temperature, top_p=args.top_p, seed=args.seed,
            **common)
    except ValueError as error:  # a setting that the engine does not allow, or a prompt that is too long
        raise UserError(str(error)) from error
    texts = [one + more for one, more in zip(greedy, drawn, strict=True)]
    with open_verifier(args.verifier) as verifier:
        claims = (Claim(row["answer"], one.text, one.complete)
                  for row, written in zip(rows, texts, strict=True) for one in written)
        verdicts = verifier.verify_many(claims)
        judged = [[outcome(one.text, next(verdicts)) for one in written] for written in texts]
    kept = ("problem_id", "problem", "group_id", "level", "answer", "source_id")
    return [{key: row.get(key) for key in kept} | {"prompt": prompt, "greedy": first, "samples": rest}
            for row, prompt, (first, *rest) in zip(rows, prompts, judged, strict=True)]


def outcome(text: str, verdict: Verdict) -> Row:
    """A solution and its outcome: True, False, or None where no verdict could be given, by no fault of the model."""
    known = verdict.verdict != "undecided" or verdict.reason in UNANSWERED
    return {"solution": text, "correct": verdict.verdict == "correct" if known else None,
            "answer_key": verdict.answer_key, "reason": verdict.reason}


def score(rows: Sequence[Row], model: str, splitter: str) -> None:
    """Add `step_scores`, the values of its steps by a process reward model, to every sample.

    None for a sample that is longer than the model can read, or empty. Of steps there are as many as `annotate` makes
    at most by default.
    """
    most = Annotate.model_fields["max_steps"].default
    for row in rows:
        for response in row["samples"]:
            steps = split(splitter, response["solution"], max_steps=most)
            response["step_scores"] = score_steps(model, None, row["prompt"], steps) if steps else None


def summary(rows: Sequence[Row], seed: int) -> dict[str, Estimate]:
    """Estimates by name: greedy pass@1, then pass@k and maj@k for k = 1, 2, 4...

    Where a reward model scored the samples: best-of-k by each of OF_STEPS, and the majority weighted by `min` (Wang et
    al., arXiv 2312.08935); a sample without scores is chosen last and weighs nothing, and the share of such samples is
    told. Last come shares of the right answers: those with a false equation, and those that a judge found unsound.
    A sample without a verdict does not count towards n; a problem with fewer than k others is excluded and counted.
    """
    estimates = {"greedy pass@1": proportion([row["greedy"]["correct"] for row in rows])}
    samples = [[one for one in row["samples"] if one["correct"] is not None] for row in rows]
    ks = [2**i for i in range(max(len(row["samples"]) for row in rows).bit_length())]
    scored = bool(ks) and all("step_scores" in one for known in samples for one in known)
    for name in ("pass", "maj", *([*BEST_OF, "weighted-maj"] if scored else [])):
        for k in ks:
            enough = [known for known in samples if len(known) >= k]
            values = [_of_subsets(name, known, k, seed) for known in enough]
            estimates[f"{name}@{k}"] = mean_over_problems(values, derive_seed(seed, name, k), len(rows) - len(enough))
    if scored:
        scores = [one["step_scores"] for known in samples for one in known]
        estimates["samples without scores"] = proportion([not values for values in scores])
    return estimates | false_positives(rows, seed)


def _of_subsets(name: str, samples: Sequence[Row], k: int, seed: int) -> float:
    correct, votes = [one["correct"] for one in samples], [one["answer_key"] for one in samples]
    if name == "pass":
        return pass_at_k(len(samples), sum(correct), k)
    if name == "maj":
        return maj_at_k(votes, correct, k)
    scores = [one["step_scores"] for one in samples]
    if name == "weighted-maj":
        weights = [OF_STEPS["min"](steps) if steps else 0.0 for steps in scores]
        return weighted_maj_at_k(votes, correct, weights, k, derive_seed(seed, name, k))
    return best_of_n([BEST_OF[name](steps) if steps else -inf for steps in scores], correct, k)


def against(rows: Sequence[Row], others: Sequence[Row], seed: int) -> Comparison:
    """Greedy answers of two models on the problems that both were judged on; UserError where there is none."""
    of_problem = {row["problem_id"]: row["greedy"]["correct"] for row in others}
    pairs = [(row["greedy"]["correct"], of_problem.get(row["problem_id"])) for row in rows]
    both = [(mine, other) for mine, other in pairs if mine is not None and other is not None]
    if not both:
        raise UserError("--compare: the two files share no judged problem; evaluate both with the same --source, "
                        "--limit and --with")
    return compare([mine for mine, _ in both], [other for _, other in both], derive_seed(seed, "compare"))


def read(path: Path) -> list[Row]:
    """Rows of a result file; UserError where it is none."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            if not (row["problem_id"] and row["greedy"].keys() >= {"solution", "correct"}):
                raise ValueError(f"problem {row['problem_id']!r} has {', '.join(row['greedy'])} of its greedy answer")
        return rows
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a result file of `stepforge evaluate`: {error!r}") from error


def write(path: Path, rows: Sequence[Row], estimates: dict[str, Estimate], args: argparse.Namespace, facts: Row
          ) -> None:
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    with replacing(path.with_suffix(".summary.json")) as temporary:
        document = {"model": args.model, "settings": vars(args), **facts,
                    "estimates": {k: v._asdict() for k, v in estimates.items()}}
        temporary.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")


def table(estimates: dict[str, Estimate]) -> Table:
    made = Table("measure", "value", "95% interval", "n", "excluded")
    for name, estimate in estimates.items():
        made.add_row(name, f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}", str(estimate.n),
                     str(estimate.excluded))
    return made


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stepforge evaluate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", help="folder or Hub id, or tiny; left out, --out is read instead")
    add("--source", default="arithmetic",
        help="arithmetic, star_graph, terse_teacher, gsm8k, math or file; or processbench, for --prm or --judge alone")
    add("--path", help="processbench: the file of solutions in steps with their first error")
    add("--with", dest="options", nargs="*", default=[], metavar="KEY=VALUE", help="options of the source")
    add("--variant", type=int, help="draw new numbers for the arithmetic problems from this seed")
    add("--limit", type=int, help=f"how many problems, by default {PROBLEMS}; of processbench all")
    add("--samples", type=int, default=8, help="samples a problem beside the greedy one; 0 for none")
    add("--temperature", type=float, default=0.7)
    add("--top_p", type=float, default=1.0)
    add("--max_tokens", type=int, default=512)
    add("--stop", nargs="*", default=[], help="texts that end a solution")
    add("--prompt", default="plain", help="name of a prompt, or a Jinja template with {{ problem }}")
    add("--verifier", default="math", help="math, or module:function, code of your own")
    add("--prm", help="process reward model, folder or Hub id, that chooses among the samples")
    add("--splitter", default="auto", choices=get_args(Splitter), help="how samples are cut into steps for it")
    add("--threshold", type=float, default=0.5, help="processbench: the first step scored below it is the first error")
    add("--tune", type=float, metavar="SHARE", help="processbench: choose the threshold on this share of the "
        "solutions, drawn by hash, and measure on the others")
    add("--judge", help="model that reads the right answers: the share that it finds unsound is reported")
    add("--seed", type=int, default=0)
    add("--out", type=Path, default=Path("results.jsonl"), help="one line a problem")
    add("--compare", type=Path, help="result file of another model on the same problems")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Evaluate, write, print; exit code 2 and one message for a mistake on the command line."""
    args, screen = arguments().parse_args(argv), Console(highlight=False)
    facts: Row = {}
    try:
        if args.source == "processbench":
            if args.model or args.compare:
                raise UserError("--source processbench has solutions of its own: give --prm or --judge, and neither "
                                "--model nor --compare")
            rows, estimates, facts = processbench(args.path, args.limit, args.prm, args.judge, args.prompt,
                                                  args.threshold, args.tune, args.seed)
        else:
            for model in filter(None, (args.model, args.prm, args.judge)):
                check_exists(model)
            if args.model:
                given, left_out = problems(args.source, args.options, args.limit or PROBLEMS, args.variant)
                rows, facts = answer(args.model, given, args), {"left_out": dict(left_out)}
            else:
                rows = read(args.out)
            if args.prm:
                score(rows, args.prm, args.splitter)
            if args.judge:
                judge(rows, args.judge)
            estimates = summary(rows, args.seed)
        if args.model or args.prm or args.judge:
            write(args.out, rows, estimates, args, facts)
        screen.print(table(estimates))
        for name, fact in facts.items():
            screen.print(f"{name.replace('_', ' ')}: {fact}", markup=False)
        if args.compare:
            it = against(rows, read(args.compare), args.seed)
            screen.print(f"greedy, against {args.compare}: {it.difference:+.3f} ({it.low:+.3f} to {it.high:+.3f} by "
                         f"paired bootstrap); only here {it.only_first}, only there {it.only_second} of {it.n} "
                         f"problems, McNemar p = {it.p:.2g}")
    except UserError as error:
        sys.stderr.write(f"stepforge evaluate: {error}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
