"""Every recipe is accepted by every method that its first line names, and every method has one for each size."""

import re
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from trl import DPOConfig, GRPOConfig, KTOConfig, SFTConfig

from stepforge.train.arguments import ReleaseArguments, parse
from stepforge.train.prm import PRMConfig

TRAINING = {"sft": SFTConfig, "awr": SFTConfig, "prm": PRMConfig, "dpo": DPOConfig, "step_dpo": DPOConfig,
            "kto": KTOConfig, "grpo": GRPOConfig}
RECIPES = sorted(path for path in Path(str(files("stepforge.train") / "recipes")).glob("*.yaml")
                 if not path.name.startswith("accelerate"))


def methods(recipe: Path) -> list[str]:
    match = re.fullmatch(r"tiny_(\w+)", recipe.stem)
    line = recipe.read_text().splitlines()[0]
    return [match[1]] if match else re.findall(r"\w+", line.removeprefix("# For ").split(":")[0])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_accepted_by_its_methods(recipe: Path, tmp_path: Path) -> None:
    assert methods(recipe)
    for method in methods(recipe):
        arguments = getattr(import_module(f"stepforge.train.{method}"), "Arguments", ReleaseArguments)
        given = ["--config", str(recipe), "--output_dir", str(tmp_path), "--use_cpu"]
        _, training, model = parse(method, given, arguments, TRAINING[method])
        assert training.learning_rate == float(yaml.safe_load(recipe.read_text())["learning_rate"])
        assert training.seed == 0 and training.resume_from_checkpoint == "last"
        assert model.use_peft == ("lora" in recipe.stem)
        if recipe.stem.startswith("tiny"):
            assert training.bf16 is False


def test_every_method_has_a_recipe_for_each_size() -> None:
    for size, needed in (("tiny", set(TRAINING)), ("small", set(TRAINING)), ("large", set(TRAINING) - {"grpo"})):
        assert {method for recipe in RECIPES if recipe.stem.startswith(size) for method in methods(recipe)} == needed
