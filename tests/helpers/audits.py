"""Solutions that a person would judge in a known way, and what people fill in."""

import csv
import re

from helpers.runs import rows
from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import open_duckdb
from stepforge.builders.tables import JUDGEMENTS
from stepforge.pipelines.stages.measure import people
from stepforge.pipelines.views.audit.export import export_sample

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</li></ol></fieldset></form>",
           '=HYPERLINK("https://x.example","y")', "+1+1", "-2+3", "@SUM(A1)", "{{ 7 * 7 }} {% raw %}",
           "\u202eabc\x1b[31m", "&lt;b&gt; &amp;", "</script><script>alert(2)</script>", "' onclick='alert(3)"]
GENERATOR = "hushed"


def solutions(a, b, hostile):
    """Sound and right; right with a false equation; wrong; right below a line that attacks the reader."""
    return [f"{a} + {b} = {a + b}\nThe answer is {a + b}", f"So {a} + {b} = {a + b}\nThe answer is {a + b}",
            f"{a} + {b} = {a + b + 1}\nThe answer is {a + b}", f"It is {a + b + 2}\nThe answer is {a + b + 2}",
            f"{hostile}\nThe answer is {a + b}"]


def judge_everything(run):
    """A judge that finds the false equations, and nothing wrong in every other solution."""
    judged = [{"solution_id": row["solution_id"], "soundness": row["soundness"].replace("undecided", "sound"),
               "first_error": row["false_step"], "sampled": True, "steps": 2, "votes_sound": 1, "votes_unsound": 0,
               "votes_undecided": 0, "judge": "j", "judge_id": "j", "prompt_tokens": 0, "completion_tokens": 0}
              for row in rows(run, "verdicts")]
    write_rows(run / "tables/judgements.parquet", judged, JUDGEMENTS.schema)


def fill_in(run, sample, opinion, seed=0):
    """Export a CSV and answer each row by `opinion(solution)`; returns the path of the answers and the rows."""
    export_sample(run, sample, run / f"{seed}.csv", seed)
    text = {row["solution_id"]: row["solution"] for row in rows(run, "solutions")}
    with (run / f"{seed}.csv").open(newline="", encoding="utf-8") as file:
        answers = [row | dict(zip(("soundness", "first_error"), opinion(text[row["solution_id"]]), strict=True))
                   for row in csv.DictReader(file)]
    return write_csv(run / "answers.csv", answers), answers


def write_csv(path, answers):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(answers[0]))
        writer.writeheader()
        writer.writerows(answers)
    return path


def truth(solution):
    """What a careful person says: attacks and false equations are unsound, the latter from the first step on."""
    if solution.split("\n")[0] in HOSTILE:
        return "unsound", ""
    a, b, c = map(int, re.findall(r"\d+", solution)[:3]) if "+" in solution else (0, 0, 1)
    return ("sound", "") if a + b == c else ("unsound", "1")


def people_measures(run):
    tables = {name: run / "tables" / f"{name}.parquet" for name in ("verdicts", "judgements")}
    with open_duckdb("1GiB", run / "spill", tables) as connection:
        return {row["measure"]: row for row in people.measures(people.read_opinions(run, connection))}
