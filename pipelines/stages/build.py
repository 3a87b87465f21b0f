"""Build: the release folder, from the tables of the run.

In: all tables. Out: RUN/release with one folder of Parquet shards for each config and the manifest `stepforge.json`,
which says how everything was made. What a config holds is SQL in builders/configs; ranks make its rows bucket by
bucket (config_rows.py); how they are laid out is builders/release.py.
"""

import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, cast

from stepforge.builders.files import replacing
from stepforge.builders.manifest import ReleaseError, read_manifest
from stepforge.builders.parquet import read_rows
from stepforge.builders.release import list_files, write_release
from stepforge.pipelines.inference.engines import generator_id, revision_of, sampling_of
from stepforge.pipelines.inference.model_card import license_of
from stepforge.pipelines.inference.prompts import template_text
from stepforge.pipelines.options.generators import Generator, RecordedGenerator
from stepforge.pipelines.options.places import conceal
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import release_path
from stepforge.pipelines.stages.base import Account, Context, Stage
from stepforge.pipelines.stages.config_rows import INPUTS as INPUTS
from stepforge.pipelines.stages.config_rows import PROMPTS as PROMPTS
from stepforge.pipelines.stages.config_rows import TAILS as TAILS
from stepforge.pipelines.stages.config_rows import decide, rows_of_configs
from stepforge.pipelines.stages.config_rows import tails as tails
from stepforge.pipelines.stages.generate.recorded import models
from stepforge.pipelines.stages.measure import people, shown_rows

PACKAGES = ("stepforge", "datatrove", "datasets", "duckdb", "huggingface_hub", "math-verify", "pyarrow")
ALL_MEASURES = "assets/measures.parquet"
LAYOUT = 13  # raised when the same tables would give other release files
PLACE = {"to", "checkpoint", "checkpoint_minutes", "version", "private"}  # where a release goes
LAID_OUT = {"configs", "pass_rate", "shards", "splits", "keep_splits", "license", *PLACE}  # which no statement reads


def settings(recipe: Recipe) -> Any:
    release = recipe.release.model_dump(mode="json", exclude={*PLACE, "allow_failed"})
    return [release, [template_text(g.prompt, g.model) for g in recipe.generators], recipe.seed, LAYOUT]


def run(context: Context) -> Account:
    recipe, release = context.recipe, context.recipe.release
    making = decide(context, release.configs, options(recipe) | people.said(context.folder))
    with rows_of_configs(context, making) as rows:
        facts = rows.left._asdict()
        manifest, known = _manifest(context), _known_licenses(context)
        for row in manifest["generators"]:
            row["license"] = row["license"] or known.get(row["generator_id"])
        released = write_release(release_path(context.folder), rows.tables, manifest | facts, finish=rows.finish,
                                 by_part=release.shards == "buckets")
        _add_measures(context)
    rows_out = sum(file["rows"] for file in released["files"].values())
    used = {row["split"] for row in read_rows(making.tables["splits"], ["split"])}
    warnings = [f"release.splits.{name}: {share} of the problems are asked for, and none is there; whole groups of "
                "near duplicates share a split, so a few groups may all fall into another one"
                for name, share in dict(recipe.release.splits).items() if share and name not in used]
    return Account(sum(rows.counts.values()), rows_out, ledger=rows.counts, facts=facts | {"warnings": warnings})


def _add_measures(context: Context) -> None:
    """All measures of all groups, as a table of the release."""
    release = release_path(context.folder)
    with replacing(release / ALL_MEASURES) as temporary:
        shutil.copyfile(context.table("measures"), temporary)
    list_files(release, [ALL_MEASURES])


def options(recipe: Recipe) -> dict[str, Any]:
    """What the statements of configs read: the release's options under their names, and what concerns rollouts."""
    annotate = recipe.annotate
    least, most = recipe.release.pass_rate or (None, None)
    return {"least_pass_rate": least, "most_pass_rate": most,
            "rl_prompt": recipe.release.rl_generator or recipe.generators[0].name,
            **recipe.release.model_dump(mode="json", exclude=LAID_OUT), "seed": str(recipe.seed),
            "policy": annotate.policy if annotate else "", "best_of": annotate.best_of if annotate else 1,
            "people_sound": [], "people_unsound": []}


def _manifest(context: Context) -> dict[str, Any]:
    recipe = context.recipe
    asking = {stage.name for stage in context.stages if stage.journal}
    licenses = {row["source"]: row["license"] for row in read_rows(context.table("problems"), ["source", "license"])}
    with context.duckdb("problems") as connection:
        measures = shown_rows(connection, read_rows(context.table("measures")))
    manifest = {
        "name": recipe.name, "seed": recipe.seed, "recipe": described(recipe),
        "stages": {name: _accounted(account) for name, account in context.accounts.items() if name in _ALL},
        "generators": [*map(_generator, recipe.generators),
                       *(_generator(named) | {"generator_id": source}
                         for named, source in models(recipe, context.table("solutions")))],
        **{key: describe(context) for stage in context.stages if stage.described
           for key, describe in [stage.described]},
        "licenses": licenses, "license": recipe.release.license,
        "packages": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "ledger": {name: account["ledger"] for name, account in context.accounts.items()
                   if name in asking and account["ledger"]},
        "measures": measures,
    }
    return cast(dict[str, Any], conceal(manifest, recipe))


def _known_licenses(context: Context) -> dict[str, str]:
    """Licenses of models by generator_id that an earlier build found; the Hub may be out of reach now."""
    try:
        earlier = read_manifest(release_path(context.folder)).get("generators", [])
    except ReleaseError:
        return {}
    return {str(row.get("generator_id")): row["license"] for row in earlier if row.get("license")}


def _accounted(account: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's account without its time and its warnings, which quote rows and files of this machine."""
    facts = {name: fact for name, fact in account["facts"].items() if name != "warnings"}
    return {key: value for key, value in account.items() if key != "seconds"} | {"facts": facts}


def described(recipe: Recipe) -> dict[str, Any]:
    """The recipe as the manifest tells it: without what runs it, and without names of this machine."""
    dumped = recipe.model_dump(mode="json", exclude={"executor"})
    for generator in dumped["generators"]:
        generator.pop("key_variable", None)
    return cast(dict[str, Any], conceal(dumped, recipe))


def _generator(generator: Generator) -> dict[str, Any]:
    writer = None if isinstance(generator, RecordedGenerator) else generator
    return {
        "name": generator.name, "generator_id": generator_id(generator), "engine": generator.engine,
        "model": generator.model, "revision": revision_of(writer) if writer else None,
        "license": license_of(generator.model, getattr(writer, "revision", None)),
        "prompt_name": generator.prompt, "prompt_template": template_text(generator.prompt, generator.model),
        "sampling": sampling_of(writer) if writer else None,
    }


_ALL = ("problems", "synthesize", "decontaminate", "generate", "verify", "judge", "deduplicate", "annotate", "measure")
STAGE = Stage("build", 9, _ALL, settings, run, (), people.audit_hashes)
