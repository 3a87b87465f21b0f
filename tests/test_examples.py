"""The examples run: verl's file scores the rows of `rl_verl`, verifiers' environment holds the tasks of `rl`.

verifiers is not among our packages: where it is absent, two classes that only keep what they are given stand for it.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from helpers.world import published, write_world

EXAMPLES = Path(__file__).parents[1] / "cards/docs/examples"


def loaded(name: str) -> ModuleType:
    """The module in a file, imported by its path, as verl does."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


def test_verl_scores_solutions_of_its_rows(world, tmp_path):
    score = loaded("verl_score").compute_score
    rows = published(world, tmp_path, "rl_verl")
    gold = [row["reward_model"]["ground_truth"] for row in rows]
    assert [score(row["data_source"], f"The answer is {answer}.", answer, row["extra_info"])
            for row, answer in zip(rows, gold, strict=True)] == [1.0, 1.0]
    assert [score(row["data_source"], "The answer is 99.", answer, row["extra_info"])
            for row, answer in zip(rows, gold, strict=True)] == [0.0, 0.0]


def test_an_environment_holds_the_tasks_and_rewards_right_answers(world, tmp_path, monkeypatch):
    try:
        import verifiers
        assert verifiers.SingleTurnEnv
    except (ImportError, AttributeError):
        keep = SimpleNamespace(SingleTurnEnv=SimpleNamespace, Rubric=SimpleNamespace, Environment=object)
        monkeypatch.setitem(sys.modules, "verifiers", keep)
    datasets = pytest.importorskip("datasets")
    rows = published(world, tmp_path, "rl")
    (tmp_path / "rl").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "rl/train-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: rl\n  data_files:\n  - split: train\n"
                                        "    path: rl/train-*.parquet\n---\n", encoding="utf-8")
    example = loaded("verifiers_math")
    environment = example.load_environment(str(tmp_path), least=0.1, most=0.9)
    assert list(environment.dataset["answer"]) == ["7"]
    assert environment.dataset[0]["prompt"] == [{"role": "user", "content": "weak: p?\n"}]
    said = [[{"role": "assistant", "content": text}] for text in ("The answer is 7.", "The answer is 8.", "Hm")]
    assert [example.right_answer(completion=each, answer="7", state={}) for each in said] == [1.0, 0.0, 0.0]
