"""The pilot teaches how long rollouts get, in the units that the search prices steps by: characters."""

import asyncio

import orjson
import pytest
from datatrove.data import Document

from stepforge.builders.parquet import write_rows
from stepforge.pipelines.answers import Verifier
from stepforge.pipelines.credit import lengths
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.lengths import Seen
from stepforge.pipelines.credit.rollouts import Policy
from stepforge.pipelines.inference.runner import Completion
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.annotate import pilot

TEXTS = {"w": "one\ntwo\nthree\n8", "v": "four\n9"}
RECIPE = Recipe.model_validate({
    "name": "world", "problems": [{"source": "arithmetic"}],
    "generators": [{"name": "weak", "engine": "embedded", "samples": 1, "prompt": "P{{ problem }}:"}],
    "annotate": {"policy": "weak", "rollouts": 8, "search": "adaptive"}})


@pytest.fixture(scope="module")
def row():
    """What the pilot's search found out about one problem; each rollout writes 40 characters in 7 tokens."""
    async def generate(request):
        return [Completion("7".rjust(40), "stop", 3, 7, None)]

    problem = {"problem_id": "p", "problem": "", "answer": "7", "base_successes": 6, "base_rollouts": 8, "position": 0,
               "pilot": True, "typical_length": 8.0,
               "solutions": [{"solution_id": name, "solution": text, "correct": False, "completion_ids": None,
                              "soundness": None, "first_error": None} for name, text in TEXTS.items()]}
    with Verifier() as verifier:
        policy = Policy(RECIPE.generators[0], "weak", 0, verifier, asyncio.Lock())
        out = asyncio.run(pilot.pilot_problem(Document("", "p", metadata=problem), generate, policy=policy,
                                              settings=RECIPE.annotate))
    return out[pilot.EVIDENCE.name][0]


def test_lengths_are_those_of_the_rollouts_in_characters(row):
    seen = [Seen(*each) for each in orjson.loads(row["lengths"])]
    assert seen and all(each.written == 40 * each.rollouts for each in seen)
    assert {each.rest + each.before for each in seen} <= set(map(len, map(str, TEXTS.values())))


def test_the_fitted_lengths_are_in_the_model_and_in_its_record(row, tmp_path):
    part = tmp_path / "0.parquet"
    write_rows(part, [row], pilot.EVIDENCE.schema)
    chain, record = pilot.teach([part])
    fitted = lengths.fit([Seen(*each) for each in orjson.loads(row["lengths"])], 8.0)
    assert chain.lengths == pytest.approx(fitted, rel=1e-3) and abs(fitted - lengths.UNFITTED).max() > 0.1
    assert Chain.of(record).lengths.tolist() == chain.lengths.tolist()
