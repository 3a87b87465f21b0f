"""Our verdicts against Math-Verify's, both sides in one run: `make bench NAME=verdicts` (needs STEPFORGE_TEST_DATA).

Solutions per CPU second on real rows, each row once: sampled GSM8K solutions, solutions of MATH problems by many
models (ProcessBench), and MATH-500 answers that are rewritten or changed, where the construction says what is equal.
Ours counts the CPU of all processes, the start of a worker included where a row needs one; Math-Verify's imports are
not on the clock. Every row on which the two sides differ is listed with who is right against the label. It also
reports tiled rows, memory over a million rows and how the symbolic tier scales. Writes build/bench/verdicts.json.
"""

import argparse
import hashlib
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import math_verify
import psutil

from stepforge.pipelines.answers import Claim, Verifier, extract_answer, fingerprint
from stepforge.pipelines.answers.equivalence import NEEDS_SYMBOLIC, compare

DATA = Path(os.environ.get("STEPFORGE_TEST_DATA", ""))
SAMPLES = ("samples_gsm8k_10x100_llama7b-2.jsonl", "samples_gsm8k_10x100_mistral7b.jsonl")
PROCESSBENCH = "processbench_math_400.jsonl"
PER_PROBLEM = 8
THEIR_ROWS = 20_000     # Math-Verify is timed on the first ten tiles only: it remembers nothing from tile to tile


class Row(NamedTuple):
    """A claim whose truth is known: from the data set's label, or from how the answer was made."""

    claim: Claim
    equal: bool


def gsm8k_rows() -> list[Row]:
    rows = []
    for name in SAMPLES:
        for line in (DATA / name).read_text(encoding="utf-8").splitlines():
            problem = json.loads(line)
            rows += [Row(Claim(problem["ground_truth"], output["response"]), str(output["label"]) == "True")
                     for output in problem["outputs"]]
    return rows


def processbench_rows() -> list[Row]:
    lines = (DATA / PROCESSBENCH).read_text(encoding="utf-8").splitlines()
    return [Row(Claim(row["gold"], row["solution"]), row["label"]) for row in map(json.loads, lines)]


# MATH-like rows: rewritings are equal by construction, changes are not ------------------------------------------

Rewriting = Callable[[str], str]
EQUAL: tuple[Rewriting, ...] = (
    lambda answer: answer,
    lambda answer: answer.replace(r"\frac", r"\dfrac"),
    lambda answer: answer.replace(" ", ""),
    lambda answer: re.sub(r"(?<!\d)(?<!\d )\\frac\{(\d+)\}\{(\d+)\}", r"(\1/\2)", answer),
    lambda answer: re.sub(r"\\left|\\right", "", answer),
    lambda answer: re.sub(r"(?<![\d.,_^}])(\d+)\\sqrt", r"\1 \\cdot \\sqrt", answer),
    lambda answer: answer if "=" in answer or not re.search(r"[a-z]", answer) or "\\" in answer else f"y = {answer}",
    lambda answer: f"{answer}.0" if re.fullmatch(r"-?\d+", answer) else answer,
    lambda answer: _swapped(answer),
    lambda answer: re.sub(r"^(\d+) ?\\sqrt\{(\d+)\}$", lambda m: rf"\sqrt{{{int(m[1])**2 * int(m[2])}}}", answer),
    lambda answer: re.sub(r"^\(([a-z])\+(\d+)\)\(([a-z])\+(\d+)\)$",
                          lambda m: f"{m[1]}{m[3]}+{m[4]}{m[1]}+{m[2]}{m[3]}+{int(m[2])*int(m[4])}", answer),
)


def _swapped(answer: str) -> str:
    """`b + a` for a sum `a + b` at the top level, `-b + a` for a difference."""
    terms = re.fullmatch(r"([^-+(=]+?) ?([-+]) ?([^-+(=)]+)", answer)
    if terms is None or terms[1].count("{") != terms[1].count("}") or "begin" in answer:
        return answer
    return f"{terms[2].strip('+')}{terms[3]} + {terms[1]}"


def _changed(answer: str, draw: int) -> str:
    """The answer with one of its numbers moved by 1 to 3, its sign turned, or its fraction upside down."""
    numbers = list(re.finditer(r"\d+", answer))
    if not numbers:
        return ("-" if draw % 2 else "2 + ") + answer if "\\text" not in answer else r"\text{none}"
    if draw % 5 == 0 and re.fullmatch(r"-?\d+", answer) and answer != "0":
        return answer.removeprefix("-") if answer.startswith("-") else "-" + answer
    if draw % 5 == 1 and (fraction := re.search(r"\\d?frac\{(\d+)\}\{(\d+)\}", answer)) and fraction[1] != fraction[2]:
        return answer.replace(fraction[0], rf"\frac{{{fraction[2]}}}{{{fraction[1]}}}")
    number = numbers[draw % len(numbers)]
    return answer[:number.start()] + str(int(number[0]) + 1 + draw % 3) + answer[number.end():]


def _draw(*key: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:6], "big")


def perturbed_rows() -> list[Row]:
    """Eight answers a problem: half of them rewritten, the other half changed; each inside a short boxed solution."""
    rows = []
    for index, line in enumerate((DATA / "math500_test.jsonl").read_text(encoding="utf-8").splitlines()):
        gold = json.loads(line)["answer"]
        for sample in range(PER_PROBLEM):
            draw = _draw(index, sample)
            equal = draw % 2 == 0
            answer = EQUAL[draw // 2 % len(EQUAL)](gold) if equal else _changed(gold, draw // 2)
            rows.append(Row(Claim(gold, f"We work it out step by step, so the answer is $\\boxed{{{answer}}}$."),
                            equal))
    return rows


def distinct(rows: list[Row]) -> list[Row]:
    seen: dict[tuple[str, str | None], Row] = {}
    for row in rows:
        seen.setdefault((row.claim.gold, extract_answer(row.claim.solution).answer), row)
    return list(seen.values())


# The two sides ---------------------------------------------------------------------------------------------------

class Stopwatch:
    """CPU seconds of this process and its children, ended or running, since the watch was made.

    To find the running children takes milliseconds, so that is done while the watch does not count this process.
    """

    def __init__(self) -> None:
        self._running = self._of_running_children()
        self._ended = self._of_ended()

    def seconds(self) -> float:
        return self._of_ended() - self._ended + self._of_running_children() - self._running

    @staticmethod
    def _of_ended() -> float:
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    @staticmethod
    def _of_running_children() -> float:
        return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


def ours(rows: list[Row]) -> tuple[list[str], float]:
    """Verdicts and CPU seconds, those of a worker and of its start included."""
    forget_everything()
    watch = Stopwatch()
    with Verifier(workers=1) as verifier:
        verdicts = [verdict.verdict for verdict in verifier.verify_many(row.claim for row in rows)]
        return verdicts, watch.seconds()


def start_of_a_worker() -> float:
    """CPU seconds until a worker is ready, import of SymPy and Math-Verify included."""
    watch = Stopwatch()
    with Verifier(workers=1) as verifier:
        verifier.verify(Claim(r"\binom{n}{2}", r"\boxed{\frac{n(n-1)}{2}}"))
        return watch.seconds()


def forget_everything() -> None:
    """Empty every cache of this project, so that no measurement profits from an earlier one."""
    for name, module in list(sys.modules.items()):
        if name.startswith("stepforge.pipelines.answers."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def theirs(rows: list[Row]) -> tuple[list[str], float]:
    """Math-Verify as its README uses it: parse the reference between dollars, parse the solution, verify."""
    watch = Stopwatch()
    verdicts = []
    for row in rows:
        gold = math_verify.parse(f"${row.claim.gold}$")
        verdicts.append("correct" if math_verify.verify(gold, math_verify.parse(row.claim.solution)) else "incorrect")
    return verdicts, watch.seconds()


def differences(rows: list[Row], our: list[str], their: list[str]) -> list[dict[str, Any]]:
    """One entry for each distinct pair on which the sides differ."""
    entries: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row, mine, other in zip(rows, our, their, strict=False):
        if mine == other:
            continue
        truth = "correct" if row.equal else "incorrect"
        answer = extract_answer(row.claim.solution).answer
        right = "ours" if mine == truth else "math-verify" if other == truth else "neither"
        entry = entries.setdefault((row.claim.gold, answer), {"gold": row.claim.gold, "answer": answer, "ours": mine,
                                                              "math_verify": other, "truth": truth, "right": right,
                                                              "rows": 0})
        entry["rows"] += 1
    return list(entries.values())


def contest(name: str, rows: list[Row], tile_to: int | None = None) -> dict[str, Any]:
    if tile_to is not None:
        rows = list(itertools.islice(itertools.cycle(rows), tile_to))
    our, our_seconds = ours(rows)
    their, their_seconds = theirs(rows[:THEIR_ROWS])
    rates = len(rows) / our_seconds, len(their) / their_seconds
    wrong = [sum((verdict == "correct") != row.equal for verdict, row in zip(verdicts, rows, strict=False))
             for verdicts in (our, their)]
    undecided = our.count("undecided")
    print(f"{name:24} {len(rows):8,} rows   ours {rates[0]:10,.0f}/s   math-verify {rates[1]:8,.0f}/s   "
          f"ratio {rates[0] / rates[1]:7.1f}   against the labels {wrong[0]} / {wrong[1]}   undecided {undecided}",
          flush=True)
    return {"rows": len(rows), "ours_per_cpu_s": rates[0], "math_verify_per_cpu_s": rates[1],
            "ratio": rates[0] / rates[1],
            "against_label_ours": wrong[0], "against_label_math_verify": wrong[1], "undecided_ours": undecided,
            "differences": differences(rows, our, their)}


# Memory and scaling ----------------------------------------------------------------------------------------------

def million(rows: int) -> None:
    """Runs in a process of its own: verify `rows` tiled claims and print peak memory (workers too) and wall
    seconds."""
    base = [row.claim for row in gsm8k_rows() + perturbed_rows()]
    start = time.monotonic()
    with Verifier(workers=2) as verifier:
        counted = sum(1 for _ in verifier.verify_many(itertools.islice(itertools.cycle(base), rows)))
    seconds = time.monotonic() - start
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"rows": counted, "wall_seconds": seconds, "peak_mib": (own + 2 * worker) / 1024}))


def million_rows(rows: int) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, "--million", str(rows)], check=True, capture_output=True,
                          text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    print(f"{result['rows']:,} rows with 2 workers: {result['wall_seconds']:.0f} s, "
          f"peak {result['peak_mib']:.0f} MiB in all processes")
    return result


def scaling(rounds: int = 3) -> float:
    """Wall throughput of two workers over one on distinct pairs that only Math-Verify can tell, best round of each."""
    pairs = [Claim(rf"\binom{{n}}{{2}}+{n}", rf"\boxed{{\frac{{n(n-1)}}{{2}}+{n}}}") for n in range(2, 152)]
    assert all(compare(claim.gold, claim.solution[7:-1]).reason == NEEDS_SYMBOLIC for claim in pairs)
    best: dict[int, float] = {}
    for workers in (1, 2) * rounds:
        with Verifier(workers=workers, timeout_s=60) as verifier:
            list(verifier.verify_many(Claim(rf"\binom{{m}}{{2}}+{n}", rf"\boxed{{\frac{{m(m-1)}}{{2}}+{n}}}")
                                      for n in range(2, 20)))
            start = time.monotonic()
            verdicts = list(verifier.verify_many(pairs))
            best[workers] = min(time.monotonic() - start, best.get(workers, float("inf")))
        assert all(verdict.verdict == "correct" for verdict in verdicts)
    rates = {workers: len(pairs) / seconds for workers, seconds in best.items()}
    print(f"symbolic tier, {len(pairs)} distinct pairs: 1 worker {rates[1]:.0f}/s, 2 workers {rates[2]:.0f}/s, ratio "
          f"{rates[2] / rates[1]:.2f} (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    return rates[2] / rates[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tile", type=int, default=100_000, help="rows of the tiled contest")
    parser.add_argument("--million", type=int, default=0, help="internal: run the memory measurement only")
    options = parser.parse_args()
    if not (DATA / SAMPLES[0]).is_file():
        sys.exit("STEPFORGE_TEST_DATA does not name a folder with the sampled GSM8K solutions; set it and run again")
    if options.million:
        return million(options.million)
    gsm8k = gsm8k_rows()
    contests = {"gsm8k": contest("GSM8K samples", gsm8k), "math": contest("MATH solutions", processbench_rows()),
                "math_perturbed": contest("MATH-500 perturbed", perturbed_rows()),
                "gsm8k_tiled": contest("GSM8K samples, tiled", gsm8k, options.tile),
                "gsm8k_distinct": contest("GSM8K distinct pairs", distinct(gsm8k))}
    listed = {name: contests[name]["differences"] for name in ("gsm8k", "math", "math_perturbed")}
    for name, entries in listed.items():
        for entry in entries:
            print(f"  {name}: {entry['right']:12} right: gold {entry['gold']!r}, answer {entry['answer']!r}: "
                  f"ours {entry['ours']}, math-verify {entry['math_verify']} ({entry['rows']} rows)")
    for result in contests.values():
        result["differences"] = len(result["differences"])
    report = {f"ratio_{name}": result["ratio"] for name, result in contests.items()} | {
              "errors_ours": {name: contests[name]["against_label_ours"] for name in listed},
              "errors_theirs": {name: contests[name]["against_label_math_verify"] for name in listed},
              "differences": listed, "contests": contests,
              "million_rows": million_rows(1_000_000), "scaling_2_workers": scaling(),
              "worker_start_cpu_s": start_of_a_worker(), "versions": fingerprint()}
    print(f"start of a worker: {report['worker_start_cpu_s']:.1f} CPU seconds")
    target = Path("build/bench/verdicts.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
