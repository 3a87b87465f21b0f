"""The report is one file that needs nothing else; its numbers are the run's, and no text of a model acts in it."""

import gzip
import json
import re
from base64 import b64decode
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.runs import execute, rows

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import write_rows
from stepforge.builders.tables import STEPS
from stepforge.pipelines.run_folder import read_run
from stepforge.pipelines.views.report import write_report
from stepforge.pipelines.views.report_facts import funnel, outcomes, rollout_tokens
from stepforge.pipelines.views.report_plots import bins
from stepforge.pipelines.views.report_solutions import _formulas, carry

MODELLED = [name for name in STEPS.schema.names if name.endswith(("_model", "_model_low", "_model_high"))
            or name == "pit_probability"]
HOSTILE = ["</script><img src=x onerror=alert(1)>", "<svg onload=alert(2)>", "<!--<script>", "a\u2028\u2029&lt;b&gt;",
           "{{ 7 * 7 }}{% raw %}", "' onclick='alert(3)", "\u202eabc\x1b[31m \U0001d54f", "]]></style><style>*{}"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two recorded generators whose every text attacks the reader; one wrong solution with valued steps."""
    folder = tmp_path_factory.mktemp("report")
    lines = [{"problem": f"{text} What is {i} + {i}?", "answer": str(2 * i),
              "one": [f"{text}\n{i} + {i} = {2 * i}\nThe answer is {2 * i}", f"{text}\nThe answer is {2 * i + 1}"],
              "two": [f"{text}\nThe answer is {2 * i}"] * 2} for i, text in enumerate(HOSTILE)]
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    paths = [str(folder / "p.jsonl")]
    execute({"name": "hostile", "problems": [{"source": "files", "paths": paths}],
             "generators": [{"name": name, "engine": "recorded", "paths": paths, "columns": {"solutions": name}}
                            for name in ("one", "two")],
             "executor": {"tasks": 1, "workers": 1}}, folder / "run")
    wrong = next(row for row in rows(folder / "run", "verdicts") if row["verdict"] == "incorrect")
    solution = next(row for row in rows(folder / "run", "solutions") if row["solution_id"] == wrong["solution_id"])
    write_rows(folder / "run/tables/steps.parquet", steps_of(solution), STEPS.schema)
    return folder / "run"


def steps_of(solution: dict) -> list[dict]:
    """Its lines with made-up values: the first one helps, the second is the pit."""
    step_rows, start = [], 0
    for index, text in enumerate(solution["solution"].splitlines(keepends=True)):
        step_rows.append({"solution_id": solution["solution_id"], "problem_id": solution["problem_id"],
                          "step_index": index, "step": text, "start": start, "end": start + len(text),
                          "splitter": "newline", "rollouts": 8,
                          "successes": 4 - 4 * index, "q": 0.5 - 0.5 * index, "q_low": 0.0, "q_high": 0.9,
                          "advantage": 0.25 - 0.75 * index, "advantage_low": -1.0, "advantage_high": 1.0,
                          "estimator": "fixed_n", "passing_rollouts": 0, "passing_successes": 0,
                          "is_pit": index == 1, **dict.fromkeys(MODELLED)})
        start += len(text)
    return step_rows


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    return write_report(run, tmp_path_factory.mktemp("out") / "r.html").path.read_text(encoding="utf-8")


def carried(page: str) -> list[dict]:
    data = re.search(r'<script type="application/gzip" id="data" data-formula="[^"<]*">([^<]*)</script>', page)
    return [json.loads(line) for line in gzip.decompress(b64decode(data[1])).decode().split("\n") if line]


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs


def test_hostile_texts_are_in_the_data_alone(page):
    parsed = Seen()
    parsed.feed(page)
    assert parsed.tags["script"] == 2 and not parsed.tags["img"] and parsed.tags["style"] >= 1
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    outside = re.sub(r'<script type="application/gzip".*?</script>', "", page, flags=re.S)
    assert "alert" not in outside and "\u202e" not in outside
    assert {HOSTILE[i] in "".join(row["text"] for row in carried(page) if row["kind"] == "problem")
            for i in range(len(HOSTILE))} == {True}


def test_the_page_loads_nothing(page):
    """Only name spaces and fragments: no address that a browser would fetch."""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none';") and "script-src 'sha256-" in policy
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page) + re.findall(r"url\(([^)]*)", page)
    assert addresses and all(address.startswith("#") for address in addresses)
    assert set(re.findall(r"https?://[^\"' <)]*", page)) <= {
        "http://www.w3.org/1999/xlink", "http://www.w3.org/1998/Math/MathML"}


def test_every_solution_is_carried_with_its_problem_and_steps(run, page):
    entries = carried(page)
    problems = [row for row in entries if row["kind"] == "problem"]
    solutions = {row["id"]: row for row in entries if row["kind"] == "solution"}
    for row in rows(run, "solutions"):
        shown = solutions[row["solution_id"]]
        text = shown.get("text") or "".join(step["text"] for step in shown["steps"])
        assert text == row["solution"] and problems[shown["problem"]]["id"] == row["problem_id"]
    assert len(solutions) == 32 and sum("steps" in row for row in solutions.values()) == 1


def test_the_funnel_adds_up_and_names_every_loss(run):
    levels = funnel(read_run(run), outcomes(read_run(run)))
    assert [(level.name, level.left) for level in levels] == [
        ("problems", 8), ("samples asked for", 32), ("solutions", 32), ("with a verdict", 32), ("correct", 24),
        ("unique and correct", 16)]
    assert levels[4].lost == {"incorrect": 8} and levels[5].lost == {"duplicate: text": 8}
    for above, level in zip(levels[1:], levels[2:], strict=False):
        assert above.left - sum(level.lost.values()) == level.left


def test_the_funnel_names_problems_that_could_not_be_read_or_stand_in_an_evaluation_set(tmp_path):
    lines = [{"problem": f"What is {i} + {i} and then some more of the same?", "answer": str(2 * i),
              "one": [f"{2 * i}"]} for i in range(4)]
    for name, held in (("p", [*lines, {"problem": "No answer to this one?"}]), ("e", lines[:1])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, held)))
    source = {"source": "files", "paths": [str(tmp_path / "p.jsonl")]}
    execute({"name": "funnel", "problems": [source],
             "decontaminate": {"against": [source | {"paths": [str(tmp_path / "e.jsonl")]}]},
             "generators": [{"name": "one", "engine": "recorded", "paths": source["paths"],
                             "columns": {"solutions": "one"}}],
             "executor": {"tasks": 1, "workers": 1}}, tmp_path / "run")
    problems = funnel(read_run(tmp_path / "run"), outcomes(read_run(tmp_path / "run")))[0]
    assert (problems.left, problems.share) == (3, 0.6)
    assert problems.lost == {"no_gold": 1, "contaminated: exact": 1}


def test_the_funnel_counts_drafts_among_the_problems(run):
    accounts = {"problems": {"rows_in": 10, "rows_out": 8, "dropped": {"no_answer": 2}},
                "synthesize": {"rows_in": 24, "rows_out": 12, "dropped": {"unsolved": 12}},
                "decontaminate": {"rows_in": 12, "rows_out": 11, "dropped": {"exact": 1}}}
    problems = funnel(read_run(run)._replace(accounts=accounts), [])[0]
    assert problems.lost == {"no_answer": 2, "draft: unsolved": 12, "contaminated: exact": 1}
    assert (problems.left, problems.share) == (11, 11 / 26)
    assert problems.left + sum(problems.lost.values()) == 26


def test_what_does_not_fit_is_left_out_and_said_so(run, tmp_path):
    written = write_report(run, tmp_path / "r.html", most=5)
    page = written.path.read_text(encoding="utf-8")
    assert (written.carried, written.solutions) == (5, 32)
    assert "5 of 32 solutions are in this file, annotated ones first" in page
    assert "steps" in next(row for row in carried(page) if row["kind"] == "solution")
    assert carry(read_run(run), 32, most_bytes=0).solutions < 32


def test_the_same_run_gives_the_same_bytes(run, page, tmp_path):
    assert write_report(run, tmp_path / "r.html").path.read_text(encoding="utf-8") == page


def test_sections_tell_the_runs_numbers(page):
    for words in ("unique and correct", "Generators at equal cost", "solved by it alone", "Where solutions are lost",
                  "every sample counts alike"):
        assert words.lower() in page.lower()
    assert page.count("<svg") == 9 and 'data-tip="one: 0.500' in page


def test_a_folder_that_is_no_run_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        write_report(tmp_path)


@pytest.mark.parametrize("rollouts", [1, 4, 8, 10, 16, 30, 64, None])
def test_bins_of_advantages_are_centred_on_what_n_rollouts_can_give(rollouts):
    edges = bins(rollouts)
    centres, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    assert len(edges) <= 32 and edges[0] <= -1 and edges[-1] >= 1
    assert min(abs(centres)) == pytest.approx(0)
    multiple = width * (rollouts or 10)
    assert multiple == pytest.approx(round(multiple)) and multiple > 0.5
    if rollouts and rollouts < 15:  # every multiple of 1/n has a bin of its own
        shares = [share / rollouts for share in range(-rollouts, rollouts + 1)]
        assert list(np.histogram(shares, edges)[0]) == [1] * len(shares)


def test_rollout_tokens_are_counted_and_shown(small_run, page):
    expected = sum(row["completion_tokens"] or 0 for row in rows(small_run, "rollouts"))
    assert rollout_tokens(read_run(small_run)) == expected > 0
    assert "<dt>rollout tokens</dt>" in page


def test_the_data_carries_each_formula_once_before_its_first_text(run):
    seen: set[str] = set()
    lines = [*_formulas(r"So $\frac12$ and $\frac12$, \(x^2\) and $\foo$.", r"\sqrt{2}", seen),
             *_formulas(r"Again $\frac12$.", "12", seen)]
    assert [line["source"] for line in lines] == [r"$\frac12$", r"\(x^2\)", r"$\sqrt{2}$"]
    assert lines[0]["tree"][0] == "math"
