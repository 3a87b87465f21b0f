"""Build: the release folder, from the tables of the run.

In: all tables. Out: RUN/release with one folder of Parquet shards for each config and the manifest `stepforge.json`,
which says how everything was made. What a config holds is SQL in builders/configs; how it is laid out is
builders/release.py.
"""

import platform
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, cast

import duckdb
import pyarrow as pa

from stepforge.builders import configs
from stepforge.builders.files import replacing
from stepforge.builders.manifest import ReleaseError, read_manifest
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.release import list_files, split_groups, write_release
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import INT, TEXT
from stepforge.pipelines.answers.extract import text_behind
from stepforge.pipelines.inference.engines import generator_id, revision_of, sampling_of
from stepforge.pipelines.inference.model_card import license_of
from stepforge.pipelines.inference.prompts import render, template_text
from stepforge.pipelines.options.generators import Generator, RecordedGenerator
from stepforge.pipelines.options.places import conceal
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import release_path
from stepforge.pipelines.stages.base import Account, Context, Stage
from stepforge.pipelines.stages.generate.recorded import models
from stepforge.pipelines.stages.measure import shown_rows

INPUTS = ("problems", "solutions", "verdicts", "judgements", "duplicates", "steps", "rollouts", "alternatives")
PROMPTS = pa.schema([pa.field(name, TEXT, nullable=False) for name in ("generator", "problem_id", "prompt", "split")])
TAILS = pa.schema([pa.field("solution_id", TEXT, nullable=False), pa.field("behind", INT, nullable=False)])
PACKAGES = ("stepforge", "datatrove", "datasets", "duckdb", "huggingface_hub", "math-verify", "pyarrow")
ALL_MEASURES = "assets/measures.parquet"
LAYOUT = 7  # raised when the same tables would give other release files
PLACE = {"to", "checkpoint", "checkpoint_minutes", "version", "private"}  # where a release goes
LAID_OUT = {"configs", "pass_rate", "splits", "license", *PLACE}  # options that no statement reads


def settings(recipe: Recipe) -> Any:
    release = recipe.release.model_dump(mode="json", exclude={*PLACE, "allow_failed"})
    return [release, [template_text(g.prompt, g.model) for g in recipe.generators], recipe.seed, LAYOUT]


def run(context: Context) -> Account:
    recipe, release = context.recipe, context.recipe.release
    folder = context.work / "configs"
    prompts = context.work / "prompts.parquet"
    with context.tell(context.work, "build", 0):
        write_rows(prompts, _prompts(context), PROMPTS)
        behind = context.work / "tails.parquet"
        with context.duckdb("solutions", "verdicts") as connection:
            write_rows(behind, tails(connection), TAILS)
        inputs = {name: context.table(name) for name in INPUTS} | {"prompts": prompts, "tails": behind}
        given = (release.configs, inputs, options(recipe), folder, recipe.executor.duckdb_memory)
        counts, left = configs.build_with_account(*given)
        tables = {name: folder / f"{name}.parquet" for name in release.configs}
        facts = left._asdict()
        manifest, known = _manifest(context), _known_licenses(context)
        for row in manifest["generators"]:
            row["license"] = row["license"] or known.get(row["generator_id"])
        released = write_release(release_path(context.folder), tables, manifest | facts)
        _add_measures(context)
    rows_out = sum(file["rows"] for file in released["files"].values())
    used = {row["split"] for row in read_rows(prompts, ["split"])}
    warnings = [f"release.splits.{name}: {share} of the problems are asked for, and none is there; whole groups of "
                "near duplicates share a split, so a few groups may all fall into another one"
                for name, share in dict(recipe.release.splits).items() if share and name not in used]
    return Account(sum(counts.values()), rows_out, ledger=counts, facts=facts | {"warnings": warnings})


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
            "policy": annotate.policy if annotate else "", "best_of": annotate.best_of if annotate else 1}


def tails(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    """How far correct solutions continue behind their answer, those that do; the connection sees both tables."""
    sql = "SELECT solution_id, solution FROM solutions JOIN verdicts USING (solution_id) WHERE verdict = 'correct'"
    for row in query_rows(connection, sql):
        if behind := text_behind(row["solution"]):
            yield {"solution_id": row["solution_id"], "behind": behind}


def _prompts(context: Context) -> Iterator[dict[str, str]]:
    """The prompt of every problem under every generator's template, and the problem's split."""
    recipe, columns = context.recipe, ["group_id", "split"]
    groups = ((row["group_id"], row["split"]) for row in read_rows(context.table("problems"), columns))
    split = split_groups(groups, recipe.seed, dict(recipe.release.splits))
    writers = [*recipe.generators, *(named for named, _ in models(recipe, context.table("solutions")))]
    for row in read_rows(context.table("problems"), ["problem_id", "problem", "group_id"]):
        for generator in writers:
            prompt = render(generator.prompt, row["problem"], generator.model)
            yield {"generator": generator.name, "problem_id": row["problem_id"], "prompt": prompt,
                   "split": split[row["group_id"]]}


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
STAGE = Stage("build", 7, _ALL, settings, run)
