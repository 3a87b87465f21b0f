"""Rejection fine-tuning samples a model, keeps what is right, trains on it, and samples the trained model next."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from stepforge.pipelines.inference.models import SHIPPED
from stepforge.train import rft

RECIPE = """
name: own
problems: [{source: arithmetic, limit: 12, steps: [2, 2]}]
generators: [{name: me, engine: embedded, samples: 4, temperature: 0.7, max_tokens: 80}]
release: {splits: {}}
executor: {kind: local, tasks: 1, workers: 1}
"""


@pytest.mark.slow
def test_second_round_samples_the_model_that_the_first_one_made(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = ["--recipe", str(tmp_path / "recipe.yaml"), "--rounds", "2", "--model_name_or_path", str(SHIPPED),
               "--output_dir", str(tmp_path / "out"), "--max_steps", "2", "--use_cpu", "--disable_tqdm", "true",
               "--gradient_checkpointing", "false", "--save_strategy", "no"]
    rft.main(command)
    models = []
    for number in (1, 2):
        run = tmp_path / "out" / "runs" / f"round{number}"
        rows = pq.read_table(next((run / "release" / "positives").glob("train-*.parquet"))).to_pylist()
        assert rows and all(row["complete"] for row in rows)
        models.append(yaml.safe_load((run / "recipe.yaml").read_text())["generators"][0]["model"])
        assert (tmp_path / "out" / f"round{number}" / "model.safetensors").is_file()
    assert models == [str(SHIPPED), str(tmp_path / "out" / "round1")]
    before = (tmp_path / "out" / "round2" / "model.safetensors").stat().st_mtime_ns
    rft.main(command)
    assert (tmp_path / "out" / "round2" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("go_on", [False, True])
def test_every_round_samples_the_last_model_and_trains_the_first_unless_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go_on: bool
) -> None:
    """Sampling and training are left out: what each round would sample from and fine-tune."""
    sampled, trained = [], []
    monkeypatch.setattr(rft.plan, "run", lambda recipe, *_: sampled.append(recipe.generators[0].model))
    monkeypatch.setattr(rft, "release_path", lambda folder: folder)
    monkeypatch.setattr(rft.sft, "main", lambda argv: trained.append(argv[argv.index("--model") + 1]))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    rft.main(["--recipe", str(tmp_path / "recipe.yaml"), "--rounds", "3", "--model", "first", "--output_dir",
              str(tmp_path), *(["--go_on"] if go_on else [])])
    last = ["first", *(str(tmp_path / f"round{number}") for number in (1, 2))]
    assert sampled == last and trained == (last if go_on else ["first"] * 3)


def test_recorded_solutions_cannot_be_sampled_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "name: own\nproblems: [{source: arithmetic, limit: 2}]\n"
        "generators: [{name: me, engine: recorded, paths: [mine.jsonl]}]\n")
    with pytest.raises(SystemExit, match="2"):
        rft.main(["--recipe", str(tmp_path / "recipe.yaml"), "--model_name_or_path", "m", "--output_dir", "out"])
    assert "rft needs one that samples" in capsys.readouterr().err
