"""Near-duplicate problems share a group, others do not, and made-up problems keep the groups of their source."""

import itertools
import json
import os
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.runs import rows

from stepforge.builders.sql import open_duckdb
from stepforge.pipelines import plan
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import read_state
from stepforge.pipelines.stages import problems
from stepforge.pipelines.stages.problems import grouping
from stepforge.pipelines.stages.problems.grouping import linked

DATA = os.environ.get("STEPFORGE_TEST_DATA")


@pytest.fixture
def seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "STAGES", (problems.STAGE,))

    def run(source, **deduplicate):
        recipe = {"name": "r", "problems": [source], "deduplicate": deduplicate,
                  "generators": [{"name": "tiny", "engine": "embedded"}]}
        plan.run(Recipe.model_validate(recipe), tmp_path / "run", plan.silent, lambda planned, account: None)
        return rows(tmp_path / "run", "seeds")

    return run


def test_a_reworded_problem_joins_the_group_and_another_does_not(seeds, tmp_path):
    texts = ["A cafe has 9 indoor tables and 11 outdoor tables with 3 chairs each. How many chairs are there in all?",
             "A bar has 4 indoor tables and 12 outdoor tables with 5 chairs each. How many chairs are there in all?",
             "A bar has 7 indoor tables and 10 outdoor tables with 2 chairs each. How many chairs are there now?",
             "Ann has 12 pears and gives away 5 of them to Ben in the evening. How many pears has she left?"]
    file = tmp_path / "problems.jsonl"
    file.write_text("\n".join(json.dumps({"problem": text, "answer": "1"}) for text in texts))
    source = {"source": "files", "paths": [str(file)]}
    groups = [row["group_id"] for row in seeds(source)]
    assert groups[0] == groups[1] == groups[2] != groups[3]
    assert [row["problem"] for row in rows(tmp_path / "run", "seeds")] == texts, "in the old order"
    assert len({row["group_id"] for row in seeds(source, near_problems=None)}) == 4


@pytest.mark.parametrize("name", ["arithmetic", "star_graph", "terse_teacher"])
def test_made_up_problems_keep_their_groups(seeds, name):
    source = {"source": name, "limit": 20}
    assert [row["group_id"] for row in seeds(source)] == [row["group_id"] for row in seeds(source, near_problems=None)]


def test_links_lead_to_the_least_name():
    assert linked([("c", "d"), ("b", "c"), ("x", "y"), ("b", "a"), ("d", "a")]) == {
        "b": "a", "c": "a", "d": "a", "y": "x"}


@pytest.mark.skipif(not DATA, reason="STEPFORGE_TEST_DATA names no folder with real problems")
def test_gsm8k_has_few_near_duplicates(seeds):
    """Tables of a cafe and of a bakery, Oreos asked for from either side, cassettes of Amanda and of Josie."""
    path = str(Path(DATA, "gsm8k_train.jsonl"))
    apart, merged = (Counter(row["group_id"] for row in seeds({"source": "gsm8k", "path": path}, near_problems=near))
                     for near in (None, 0.6))
    assert 3 <= len(apart) - len(merged) <= 10


def link_all(tmp_path, texts, near=0.6):
    names = [f"{n:04d}" for n in range(len(texts))]
    table = pa.table({"problem_id": names, "group_id": names, "problem": texts, "source": ["made"] * len(names)})
    pq.write_table(table, tmp_path / "seeds.parquet")
    with open_duckdb("256MiB", tmp_path / "spill", {"seeds": tmp_path / "seeds.parquet"}) as connection:
        return linked(grouping.near_pairs(connection, near)), connection.execute(grouping.CROWDED_SQL).fetchone()[0]


def runs(text):
    words = text.split()
    return {tuple(words[n:n + 5]) for n in range(max(1, len(words) - 4))}


@pytest.mark.parametrize("near", [0.3, 0.6, 0.9, 1.0])
def test_no_pair_of_near_duplicates_is_lost_among_texts_of_any_length(tmp_path, near):
    draw = random.Random(near)
    words = [f"{one}{other}" for one in "abcdefgh" for other in "klmn"]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 14))) for _ in range(150)]
    for _ in range(150):
        changed = draw.choice(texts).split()
        changed[draw.randrange(len(changed))] = draw.choice(words)
        texts.append(" ".join(changed[:draw.randint(1, len(changed) + 3)]))
    names = [f"{n:04d}" for n in range(len(texts))]
    sets = dict(zip(names, map(runs, texts), strict=True))
    expected = linked((one, other) for one, other in itertools.combinations(names, 2)
                      if len(sets[one] & sets[other]) / len(sets[one] | sets[other]) >= near)
    links, crowded = link_all(tmp_path, texts, near)
    assert expected and links == expected and not crowded


def test_a_crowd_is_compared_in_part_and_said_to_be(tmp_path):
    stock = "read the following problem with care and give one number as the answer"
    family = [f"{stock} a shop sells pens at a fair price to {chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(90)]
    others = [f"{stock} {' '.join(random.Random(n).sample('abcdefghijklmnopqrstuvwxyz', 20))}" for n in range(90)]
    links, crowded = link_all(tmp_path, others + family)
    assert len(links) == 89 and set(links.values()) == {"0090"}
    assert crowded


def test_the_account_of_problems_says_how_near_duplicates_were_compared(seeds, tmp_path):
    file = tmp_path / "problems.jsonl"
    texts = ["A bar has 4 indoor tables and 12 outdoor tables with chairs.",
             "A bar has 4 indoor tables and 12 outdoor tables with chairs now."]
    file.write_text("\n".join(json.dumps({"problem": text, "answer": "1"}) for text in texts))
    seeds({"source": "files", "paths": [str(file)]})
    facts = read_state(tmp_path / "run")["problems"]["facts"]
    assert facts["near_problems"] == {"jaccard": 0.6, "merged_groups": 1, "runs_shared_by_a_crowd": 0}
