"""A pilot teaches the adaptive search: the same whatever runs it, told in the manifest, and paid for once."""

import json

import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.pipelines.credit.chain import Chain

ADAPTIVE = {**SMALL, "judge": None, "annotate": {**SMALL["annotate"], "search": "adaptive", "pilot": 5}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adaptive")
    execute(ADAPTIVE, folder)
    return folder


def search_of(folder):
    manifest = json.loads((folder / "release" / "stepforge.json").read_text())
    return manifest["stages"]["annotate"]["facts"]["search"]


def test_the_fitted_model_stands_in_the_manifest(run):
    chain = search_of(run)["chain"]
    assert chain["pilot_problems"] == 5 and chain["pilot_solutions"] >= 5
    fitted, default = Chain.of(chain), Chain.default(0.05)
    assert abs(fitted.moves - default.moves).max() > 0.01
    assert fitted.moves.sum(1) == pytest.approx(1)


def test_ranks_do_not_matter(run, tmp_path):
    execute(ADAPTIVE | {"executor": {"tasks": 3, "workers": 1}}, tmp_path)
    assert search_of(tmp_path) == search_of(run)
    for table in ("steps", "alternatives"):
        assert rows(tmp_path, table) == rows(run, table)


def test_every_rollout_of_the_journal_is_in_the_table(run):
    paid = [json.loads(line)["key"] for path in (run / "rollouts").glob("*/*.jsonl") for line in path.open("rb")]
    assert sorted(paid) == sorted(row["rollout_id"] for row in rows(run, "rollouts"))


def test_the_manifest_names_the_splitter_and_its_version(run):
    manifest = json.loads((run / "release" / "stepforge.json").read_text())
    assert manifest["stages"]["annotate"]["facts"]["splitter"] == {"name": "newline", "version": 1}
