"""A small recipe, and how tests run one and read its tables."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from stepforge.builders import configs
from stepforge.builders.manifest import read_manifest
from stepforge.builders.parquet import read_rows
from stepforge.builders.tables import TABLES
from stepforge.pipelines import plan
from stepforge.pipelines.options.executor import StageName
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import table_path

SMALL = {
    "name": "small", "problems": [{"source": "arithmetic", "limit": 12, "steps": [3, 4]}],
    "generators": [{"name": "tiny", "engine": "embedded", "samples": 6, "max_tokens": 96}],
    "judge": {"generator": "tiny", "prompt": "{{ problem }}\n{{ steps | join }}First error:", "votes": 2,
              "correct_per_generator": 5, "incorrect_per_generator": 2, "max_tokens": 24},
    "annotate": {"policy": "tiny", "rollouts": 4, "negatives_per_problem": 2, "positives_per_problem": 1},
    "release": {"splits": {"test": 0.3}}, "executor": {"tasks": 1, "workers": 1},
}


def execute(recipe: dict, folder: Path, last: StageName = "publish") -> list[str]:
    """Run a recipe in this process, up to a stage; returns the stages that ran."""
    ran = []
    plan.run(Recipe.model_validate(recipe), folder, plan.silent,
             lambda planned, account: ran.append(planned.stage.name) if account else None, last)
    return ran


def rows(folder: Path, table: str) -> list[dict]:
    return list(read_rows(table_path(folder, table)))


def by_key(found: Iterable[dict], key: Sequence[str]) -> list[dict]:
    """Rows in the order of their key, nulls first."""
    return sorted(found, key=lambda row: tuple((row[name] is not None, row[name]) for name in key))


def tables_of(folder: Path) -> dict[str, list[dict]]:
    """Every table of a run but for its drops, in the order of its key."""
    return {name: by_key(rows(folder, name), table.key) for name, table in TABLES.items() if name != "drops"}


def release_of(folder: Path) -> dict[tuple[str, str], list[dict]]:
    """The rows of a run's release by config and split, in the order of their key."""
    release, tables = folder / "release", {}
    for name, facts in read_manifest(release)["files"].items():
        if "config" in facts:
            tables.setdefault((facts["config"], facts["split"]), []).extend(read_rows(release / name))
    return {(config, split): by_key(table, configs.CONFIGS[config].key) for (config, split), table in tables.items()}


def without_cache(tables: dict) -> dict:
    """Tables but for what the engine had in its cache."""
    return {name: [{key: value for key, value in row.items() if key != "cached_prompt_tokens"} for row in table
                   if not str(row.get("measure")).endswith("cached_prompt_tokens")] for name, table in tables.items()}
