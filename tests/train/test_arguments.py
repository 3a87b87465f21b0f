"""What a person writes behind `stepforge train METHOD`, and how mistakes are met."""

import re
from pathlib import Path

import pytest
from trl import DPOConfig, SFTConfig

from stepforge.train import dpo, sft
from stepforge.train.arguments import MAIN, parse, recipe_file, shipped_recipes
from stepforge.train.release import ReleaseError


def refusal(tmp_path: Path, *arguments: str) -> str:
    with pytest.raises(ReleaseError) as error:
        parse("sft", ["--use_cpu", "--output_dir", str(tmp_path), *arguments], sft.Arguments, SFTConfig)
    return str(error.value)


@pytest.mark.parametrize("given", [["--config", "tiny_sft"], ["--config=tiny_sft"]])
def test_shipped_recipe_and_model_are_found_by_name(tmp_path: Path, given: list[str]) -> None:
    _, training, model = parse("sft", [*given, "--model", "tiny", "--output_dir", str(tmp_path), "--use_cpu",
                                       "--max_steps", "7"], sft.Arguments, SFTConfig)
    assert (training.learning_rate, training.max_steps) == (3e-4, 7)
    assert (Path(model.model_name_or_path) / "config.json").is_file()


def test_file_of_the_user_goes_before_a_shipped_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny_sft").write_text("learning_rate: 1.0e-6\n")
    assert recipe_file("tiny_sft") == Path("tiny_sft")
    Path("tiny_sft").unlink()
    Path("tiny_sft").mkdir()
    assert recipe_file("tiny_sft") == shipped_recipes()["tiny_sft"]


@pytest.mark.parametrize(("arguments", "parts"), [
    (["--config", "tiny_stf"], ["tiny_stf", "did you mean tiny_sft?", "small_sft_full"]),
    (["--config"], ["--config", "name of a shipped recipe"]),
    (["--learning_rte", "1"], ["no option --learning_rte", "did you mean --learning_rate?"]),
    (["stray"], ["no option stray"]),
    (["--learning_rate", "fast"], ["--learning_rate", "fast"]),
])
def test_mistake_names_what_is_allowed(tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    message = refusal(tmp_path, *arguments)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(("text", "part"), [
    ("a: [", "while parsing"), ("- 1\n", "mapping"), ("lerning_rate: 1\n", "did you mean --learning_rate?"),
])
def test_bad_file_of_settings_is_one_message(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    assert part in refusal(tmp_path, "--config", str(tmp_path / "x.yaml"))


def helped(capsys: pytest.CaptureFixture[str], option: str) -> str:
    with pytest.raises(SystemExit, match="0"):
        dpo.main([option])
    return capsys.readouterr().out


def test_short_help_holds_our_options_and_the_main_ones(capsys: pytest.CaptureFixture[str]) -> None:
    short, whole = helped(capsys, "--help"), helped(capsys, "--help-all")
    assert len(short.splitlines()) < 120 < len(whole.splitlines())
    assert {"--dataset", "--rule", "--model", "--learning_rate", "--beta"} <= set(re.findall(r"--\w+", short))
    assert "--adam_beta1" not in short and "--adam_beta1" in whole
    assert "tiny_dpo" in short and "small_pairs_lora" in short and "tiny_sft" not in short


def test_options_of_the_short_help_exist() -> None:
    from trl import GRPOConfig, ModelConfig
    known = {name for kind in (SFTConfig, DPOConfig, GRPOConfig, ModelConfig) for name in kind.__dataclass_fields__}
    assert set(MAIN) <= known
