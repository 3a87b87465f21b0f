"""Records of configs: each has a statement, its key and ids are columns of it, and trainers find what they read."""

import re
from importlib import import_module
from importlib.resources import files

import pytest

from stepforge.builders.configs import CONFIGS
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.recipe import RecipeError, load_recipe

PLAIN = [config for config in CONFIGS.values() if not config.is_chat]
DEFAULT = [config for config in CONFIGS.values() if not config.asked]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_key_ids_and_texts_of_a_record_are_its_columns(config):
    columns = set(config.schema.names)
    assert {*config.key, *config.solutions, *config.texts, *(config.chat or ()), "problem_id"} <= columns
    assert all(field.metadata[b"doc"] for field in config.schema)
    assert files("stepforge.builders.configs").joinpath(f"{config.plain}.sql").is_file()
    if config.training:
        assert {*config.training.columns, *re.findall(r'row\["(\w+)"\]', config.training.keep)} <= columns


def test_every_statement_has_a_record_and_every_rank_is_taken_once():
    statements = {path.name.removesuffix(".sql") for path in files("stepforge.builders.configs").iterdir()
                  if path.name.endswith(".sql")}
    shared = {"pool", "first_errors", "account", "account_ids", "weighed", "rollout_texts"}
    assert statements == {*shared, *(config.name for config in PLAIN)}
    assert len({config.rank for config in CONFIGS.values()}) == len(CONFIGS)


def test_a_variant_as_messages_has_the_columns_of_its_config():
    for config in CONFIGS.values():
        if config.is_chat:
            assert config.schema.names == CONFIGS[config.plain].schema.names
            assert config.key == CONFIGS[config.plain].key


def test_a_recipe_names_configs_by_their_records(tmp_path):
    assert ReleaseOptions().configs == tuple(config.name for config in DEFAULT)
    assert ReleaseOptions(configs=("pairs_chat",)).configs == ("pairs_chat",)
    (tmp_path / "recipe.yaml").write_text("{name: a, problems: [], generators: [], release: {configs: [step_pair]}}")
    with pytest.raises(RecipeError, match="'step_pair' is not a config of a release; allowed: step_pairs, pairs, "):
        load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(("module", "config"), [
    ("sft", "positives"), ("dpo", "pairs"), ("kto", "unpaired"), ("step_dpo", "step_pairs"), ("awr", "weighted"),
    ("prm", "stepwise"), ("grpo", "rl")])
def test_a_trainer_finds_the_columns_that_it_reads(module, config):
    pytest.importorskip("trl", reason="needs trl: pip install stepforge[train]")
    columns = import_module(f"stepforge.train.{module}").COLUMNS
    import_module("stepforge.train.release").check_columns(CONFIGS[config].schema, columns, config)
