"""A wrong recipe is one clear message."""

from pathlib import Path

import pytest
import yaml

from stepforge.pipelines.credit.advantages import clopper_pearson
from stepforge.pipelines.options.base import PATTERNS
from stepforge.pipelines.options.generators import EmbeddedGenerator
from stepforge.pipelines.options.reference import options_of
from stepforge.pipelines.recipe import SHIPPED, Recipe, RecipeError, load_recipe, make_recipe, shipped_recipes

GOOD = {
    "name": "demo", "problems": [{"source": "arithmetic", "limit": 5}],
    "generators": [{"name": "tiny", "engine": "embedded"}], "annotate": {"policy": "tiny", "rollouts": 4},
}


def load(tmp_path, **changes):
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(GOOD | changes))
    return load_recipe(path)


def test_shipped_recipes_are_valid():
    from pathlib import Path

    assert load_recipe(Path("demo")).name == "demo"
    assert load_recipe(Path("gsm8k")).generators[0].engine == "recorded"


def test_recipe_is_frozen(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path).seed = 3


@pytest.mark.parametrize(("changes", "parts"), [
    ({"sead": 1}, ["sead", "unknown key", "seed"]),
    ({"generators": [{"name": "t", "engine": "embedded", "temprature": 1}]}, ["temprature", "temperature"]),
    ({"generators": [{"name": "t", "engine": "embedded", "temperature": -1}]}, ["temperature", "got -1"]),
    ({"generators": [{"name": "t", "engine": "quantum"}]}, ["quantum", "embedded"]),
    ({"generators": [{"name": "t", "engine": "recorded"}], "annotate": None}, ["paths", "hub"]),
    ({"problems": []}, ["problems"]),
    ({"problems": [{"source": "arithmetic", "steps": [6, 3]}]}, ["steps", "1 to 10"]),
    ({"problems": [{"source": "files", "paths": ["x"], "columns": {"problem": "q"}}]}, ["answer"]),
    ({"annotate": {"policy": "other"}}, ["annotate.policy", "other", "tiny"]),
    ({"annotate": {"policy": "tiny", "rollouts": 4, "best_of": 5}}, ["best_of", "rollouts"]),
    ({"judge": {"generator": "other"}}, ["judge.generator", "other", "tiny"]),
    ({"judge": {"generator": "tiny", "votes": 0}}, ["judge.votes"]),
    ({"judge": {"generator": "tiny", "vote": 3}}, ["judge.vote", "votes"]),
    ({"judge": {"generator": "t", "votes": 3}, "annotate": None,
      "generators": [{"name": "t", "engine": "embedded", "temperature": 0}]}, ["judge.votes", "temperature 0"]),
    ({"synthesize": {"writer": "other", "solver": "tiny"}}, ["synthesize.writer", "other", "tiny"]),
    ({"synthesize": {"writer": "tiny", "solver": "tiny", "agreement": 0.5}}, ["synthesize.agreement", "0.5"]),
    ({"synthesize": {"writer": "tiny", "solver": "tiny", "seeds": 3}}, ["synthesize.seeds", "per_seed"]),
    ({"problems": [{"source": "gsm8k", "subset": 3}]}, ["problems.0.subset", "limit"]),
    ({"executor": {"task": 3}}, ["executor.task", "tasks"]),
    ({"synthesize": {"writer": "t", "solver": "t"}, "annotate": None,
      "generators": [{"name": "t", "engine": "embedded", "temperature": 0}]}, ["synthesize.solutions", "0 would"]),
    ({"generators": [{"name": "tiny", "engine": "endpoint", "url": "http://x/v1", "model": "m", "api": "chat",
                      "prompt": "chat"}], "annotate": None}, ["asked by chat", "completions"]),
    ({"verify": {"judge": "tiny"}, "executor": {"kind": "ray", "tasks_per_job": 1, "stages": {"verify":
        {"tasks_per_job": 2}}}}, ["executor.stages.verify.tasks_per_job", "judge"]),
    ({"release": {"configs": ["postives"]}}, ["postives", "positives"]),
    ({"release": {"to": "s3:bucket"}}, ["release.to"]),
    ({"release": {"version": "1.0"}}, ["release.version"]),
    ({"release": {"splits": {"test": 0.5, "validation": 0.5}}}, ["splits"]),
    ({"release": {"splits": {"dev": 0.1}}}, ["splits", "test"]),
    ({"release": {"weight_max": float("inf")}}, ["weight_max", "finite"]),
    ({"release": {"to": "hub:name"}}, ["release.to", "hub:ORG/NAME"]),
    ({"release": {"to": "hub:org/na--me"}}, ["release.to", "hub:ORG/NAME"]),
    ({"release": {"version": "01.0.0"}}, ["release.version", "MAJOR.MINOR.PATCH"]),
    ({"annotate": None, "release": {"configs": ["positives", "step_pairs"]}}, ["step_pairs", "give `annotate`"]),
    ({"annotate": None, "release": {"rollout_positives": True}}, ["rollout_positives", "give `annotate`"]),
    ({"annotate": None, "release": {"rollout_negatives": True}}, ["rollout_negatives", "give `annotate`"]),
    ({"annotate": {"policy": "tiny", "splitter": "sentences"}}, ["annotate.splitter", "'sentence'"]),
    ({"judge": {"generator": "tiny", "splitter": "verse"}}, ["judge.splitter", "newline"]),
    ({"judge": {"generator": "tiny", "splitter": "sentence"}},
     ["judge.splitter", "'sentence'", "'auto'", "set both to the same value"]),
    ({"judge": {"generator": "tiny", "annotated": True, "max_steps": 3}},
     ["judge.max_steps", "3", "set both to the same value"]),
    ({"judge": {"generator": "tiny", "max_steps": None}},
     ["judge.max_steps", "None", "set both to the same value"]),
    ({"judge": {"generator": "tiny", "annotated": True}, "annotate": None}, ["judge.annotated", "give `annotate`"]),
    ({"judge": {"generator": "tiny"}, "release": {"consensus": True}}, ["release.consensus", "`annotated: true`"]),
    ({"judge": None, "release": {"consensus": True}}, ["release.consensus", "`annotated: true`"]),
    ({"annotate": {"policy": "tiny", "pit_tolerance": 1}}, ["annotate.pit_tolerance", "below 1"]),
    ({"annotate": {"policy": "tiny", "pit_tolerance": 0, "search": "adaptive"}}, ["pit_tolerance", "above 0"]),
    ({"annotate": {"policy": "tiny", "pit_tolerance": 0}}, ["pit_tolerance", "another `search`"]),
    ({"annotate": {"policy": "tiny", "pit_fall": float("nan")}}, ["annotate.pit_fall", "finite"]),
    ({"annotate": {"policy": "t"}, "generators": [{"name": "t", "engine": "embedded", "temperature": 0}]},
     ["annotate.rollouts", "16 draws at temperature 0"]),
    ({"verify": {"memory_mb": 256}}, ["verify.memory_mb", "512"]),
    ({"verify": {"timeout_s": 0}}, ["verify.timeout_s", "0.01"]),
    ({"problems": [{"source": "gsm8k", "split": "validation"}]}, ["split", "train, test"]),
    ({"problems": [{"source": "gsm8k", "path": "x.jsonl", "hub": "a/b"}]}, ["path", "hub"]),
    ({"problems": [{"source": "star_graph", "nodes": 8}]}, ["nodes 8", "nodes >="]),
    ({"problems": [{"source": "terse_teacher", "operations": 1, "modulus": 2, "split": "test"}]}, ["larger numbers"]),
    ({"generators": [{"name": "tiny", "engine": "embedded", "stop": [""]}]}, ["stop"]),
    ({"budget": {"match": "price", "per_problem": 1}}, ["budget.match", "price", "tiny"]),
    ({"budget": {"match": "samples", "per_problem": 0.5}}, ["budget.per_problem", "1 or more"]),
    ({"executor": {"duckdb_memory": "16MiB"}}, ["duckdb_memory", "256MiB"]),
    ({"executor": {"kind": "slurm", "slurm": {"partition": "p", "time": "2h"}}}, ["executor.slurm.time"]),
    ({"executor": {"kind": "jobs", "jobs": {"staging": "hf://x", "install": ["p"], "timeout": "2 hours"}}},
     ["executor.jobs.timeout"]),
])
def test_misfit_names_field_and_what_is_allowed(tmp_path, changes, parts):
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, **changes)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(("annotate", "release", "warned"), [
    ({"rollouts": 8}, {}, True), ({"rollouts": 10}, {}, True), ({"rollouts": 11}, {}, False), ({}, {}, False),
    ({"rollouts": 8}, {"false_below": 0.36}, True), ({"rollouts": 8}, {"false_below": 0.37}, False),
    ({"rollouts": 8}, {"labels": "threshold"}, False), ({"rollouts": 8}, {"configs": ["steps"]}, False),
    ({"rollouts": 8, "search": "adaptive"}, {}, False), ({"rollouts": 1}, {"false_below": 1}, False)])
def test_rollouts_that_can_make_no_label_false_are_told(tmp_path, annotate, release, warned):
    warnings = load(tmp_path, annotate={"policy": "tiny", **annotate}, release=release).warnings()
    assert len(warnings) == warned
    assert not warnings or "no step false but a last one; take annotate.rollouts " in warnings[0]
    assert clopper_pearson(0, 11)[1] <= 0.3 < clopper_pearson(0, 10)[1] and clopper_pearson(0, 8)[1] <= 0.37


@pytest.mark.parametrize("changes", [
    {"annotate": None}, {"annotate": None, "release": {"configs": ["positives"]}},
    {"annotate": {"policy": "tiny", "pit_tolerance": 0, "search": "scan"}}, {"release": {"version": "v2.0.1"}},
    {"annotate": {"policy": "tiny", "search": "adaptive", "pit_tolerance": 0, "pit": "zero_success"}},
    {"problems": [{"source": "math", "split": "validation", "path": "x.jsonl"}]},
    {"executor": {"duckdb_memory": "0.3 GB", "slurm": {"partition": "p", "time": "1-12:00"}}}])
def test_what_the_engine_takes_fits(tmp_path, changes):
    recipe = load(tmp_path, **changes)
    assert load(tmp_path, **recipe.model_dump(mode="json")) == recipe, "as the run's folder keeps it"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_fit(path):
    assert load_recipe(Path(path.stem)).name


@pytest.mark.parametrize("content", ["a: [", "- 1\n- 2", ""])
def test_file_that_is_no_recipe(tmp_path, content):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError):
        load_recipe(path)


def test_missing_file_names_the_shipped_recipes(tmp_path):
    with pytest.raises(RecipeError, match="demo"):
        load_recipe(tmp_path / "absent.yaml")


def test_set_changes_one_option_and_keeps_the_rest():
    changes = ["generators.0.samples=16", "release.splits.test=0.2", "annotate.best_of=3", "name=other"]
    recipe = make_recipe(GOOD, changes)
    assert (recipe.generators[0].samples, recipe.name) == (16, "other")
    assert (recipe.release.splits["test"], recipe.annotate.best_of, recipe.annotate.rollouts) == (0.2, 3, 4)
    assert "release" not in GOOD and "best_of" not in GOOD["annotate"]


@pytest.mark.parametrize(("change", "parts"), [
    ("generators.0.samples", ["OPTION=VALUE"]), ("generators.1.samples=2", ["generators.1.samples", "list of 1"]),
    ("name.first=x", ["name.first", "single value"]), ("seed=[", ["seed", "YAML"]),
    ("sead=1", ["sead", "unknown key"]), ("generators.0.samples=many", ["generators.0", "samples", "many"]),
])
def test_set_that_fits_nothing_says_so(change, parts):
    with pytest.raises(RecipeError) as caught:
        make_recipe(GOOD, [change])
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_variables_of_the_environment_stand_in_texts(monkeypatch):
    monkeypatch.setenv("RUN_NAME", "night")
    assert make_recipe(GOOD | {"name": "${RUN_NAME}-1"}).name == "night-1"
    prompt = r"Solve $x$ and ${y}$: {{ problem }}"  # mathematics is not a variable
    written = make_recipe(GOOD | {"generators": [GOOD["generators"][0] | {"prompt": prompt}]})
    assert written.generators[0].prompt == prompt


@pytest.mark.parametrize(("name", "part"), [("NO_SUCH_NAME", "no such"), ("HF_TOKEN", "secret"),
                                            ("MY_API_KEY", "secret")])
def test_variable_that_is_absent_or_secret_is_refused(monkeypatch, name, part):
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    with pytest.raises(RecipeError, match=part) as caught:
        make_recipe(GOOD | {"name": f"${{{name}}}"})
    assert "hf_abc" not in str(caught.value)


def test_reference_knows_every_option_by_its_path():
    options = {option.path: option for option in options_of(Recipe)}
    assert options["problems[arithmetic].limit"].default == "200" and options["name"].default is None
    assert options["executor.kind"].allowed == "local, slurm, ray, jobs"
    assert options["problems[files, hub].paths"].allowed == "list of text"


@pytest.mark.parametrize(("prices", "read_cost"), [
    ({}, 0), ({"price": 4}, 0), ({"input_price": 1}, 0), ({"price": 4, "input_price": 1}, 0.25),
    ({"price": 4, "input_price": 1, "cached_input_price": 0.1}, 0.025), ({"price": 4, "cached_input_price": 0}, 0)])
def test_reading_costs_what_the_prices_say(prices, read_cost):
    generator = EmbeddedGenerator.model_validate({"name": "m", "engine": "embedded", **prices})
    assert generator.read_cost == pytest.approx(read_cost)


def test_folder_of_a_shipped_recipes_name_is_no_recipe(tmp_path, monkeypatch):
    """A first run may leave a folder `demo` behind; a file of that name is the user's recipe."""
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()
    assert load_recipe(Path("demo")).name == "demo"
    Path("demo").rmdir()
    Path("demo").write_text("{}")
    with pytest.raises(RecipeError, match="problems"):
        load_recipe(Path("demo"))


@pytest.mark.parametrize(("change", "line"), [
    ("release.version=1.0", 'release.version: must be `auto`, or three numbers in quotes, such as "1.0.0" (got 1.0)'),
    ("release.version='1.0'", "release.version: version '1.0': allowed is MAJOR.MINOR.PATCH, as in 1.2.0"),
    ("release.to=org/name", "release.to: must be hub:ORG/NAME or local:PATH (got 'org/name')"),
    ("name=12", "name: must be text in quotes, letters, digits and . _ -, the first a letter or a digit (got 12)"),
    ("generators.0.engine=embeded", "generators.0.engine: 'embeded' is not among embedded, vllm, sglang, endpoint, "
                                    "batch, recorded; did you mean 'embedded'?"),
    ("problems.0.source=null", "problems.0.source: 'None' is not among arithmetic, star_graph, terse_teacher, files, "
                               "hub, gsm8k, math"),
    ("problems.0={limit: 5}", "problems.0.source: is needed"),
    ("generators.0.samples=many", "generators.0.samples: must be a whole number (got 'many')"),
    ("generators.0.samples=-1", "generators.0.samples: must be at least 0 (got -1)"),
    ("generators.0.stop=x", "generators.0.stop: must be a list, such as [a, b] (got 'x')"),
    ("generators=[]", "generators: must not be empty"),
    ("annotate.policy=tinny", "annotate.policy: 'tinny' is not among ['tiny'], the generators that can write; did you "
                              "mean 'tiny'?"),
    ("executor.stages.anotate.tasks=2", "executor.stages.anotate: 'anotate' is not among synthesize, generate, judge, "
                                        "annotate, verify, deduplicate, build; did you mean 'annotate'?"),
    ("annotate=yes", "annotate: must be a mapping of options (got True)"),
])
def test_misfit_is_one_line_in_words(change, line):
    with pytest.raises(RecipeError) as error:
        make_recipe(GOOD, [change])
    assert str(error.value).splitlines()[1:] == [f"  {line}"]


@pytest.mark.parametrize(("change", "key", "guess"), [
    ("annotate.rolouts=8", "annotate.rolouts", "rollouts"), ("relese.to=x", "relese", "release"),
    ("generators.0.temprature=1", "generators.0.temprature", "temperature"),
    ("executor.stages={annotate: {taskz: 2}}", "executor.stages.annotate.taskz", "tasks"),
    ("release.configs=[pairz]", "release.configs.0", "pairs"),
])
def test_near_names_are_offered(change, key, guess):
    with pytest.raises(RecipeError) as error:
        make_recipe(GOOD, [change])
    (line,) = str(error.value).splitlines()[1:]
    assert line.startswith(f"  {key}: ") and f"did you mean {guess!r}?" in line


def test_every_pattern_of_an_option_has_words():
    """The words come instead of a regular expression, which most readers cannot use."""
    expressions = patterns_in(Recipe.model_json_schema())
    assert len(set(expressions)) > 5 and set(expressions) <= PATTERNS.keys()


def patterns_in(schema):
    if isinstance(schema, dict):
        own = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
        return own + [pattern for inner in schema.values() for pattern in patterns_in(inner)]
    return [pattern for inner in schema for pattern in patterns_in(inner)] if isinstance(schema, list) else []


def test_shipped_recipes_name_their_schema_for_editors():
    for file in SHIPPED.glob("*.yaml"):
        first = file.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=recipe.schema.json ")
    assert "yaml-language" not in str(shipped_recipes()) and "tiny model" in shipped_recipes()["demo"]


def test_shards_by_bucket_that_no_manifest_holds_are_refused_at_once():
    of_buckets = ["release.shards=buckets", "release.configs=[positives, problems]", "release.splits={test: 0.1}"]
    assert make_recipe(GOOD, [*of_buckets, "executor.buckets=5000"]).release.shards == "buckets"
    with pytest.raises(RecipeError, match="may make 20,004 files, for 5,001 buckets, 2 configs"):
        make_recipe(GOOD, [*of_buckets, "executor.buckets=5001"])
