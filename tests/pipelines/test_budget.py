"""What a budget buys: exact counts, parameters from configs, a pilot whose samples are the run's first ones."""

import json
import math
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from helpers.runs import execute, rows

from stepforge.builders.errors import UserError
from stepforge.pipelines.budget import Allotment, Length, allot, spent_on, token_cost
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.inference.models import model_parameters, model_path
from stepforge.pipelines.options.budget import Budget
from stepforge.pipelines.options.generators import BatchGenerator, EmbeddedGenerator, EndpointGenerator
from stepforge.pipelines.recipe import Recipe, RecipeError, load_recipe

WEAK = {"name": "weak", "engine": "embedded", "max_tokens": 96}
RUN = {"name": "budget", "problems": [{"source": "arithmetic", "limit": 6, "steps": [3, 4]}],
       "generators": [WEAK, {**WEAK, "name": "strong", "temperature": 1.0, "parameters": 2_700_000, "samples": 2}],
       "executor": {"tasks": 1, "workers": 1}}


def test_samples_follow_the_papers_formula():
    """9 and 27 billion parameters at the same length are 3 to 1; solutions half as long double that."""
    costs = {"weak": Fraction(18), "strong": Fraction(54)}
    same = allot(Budget(match="flops", per_problem="strong"), costs, {"weak": Length(100, 2), "strong": Length(50, 1)},
                 {"weak": 8, "strong": 10})
    assert {name: given.samples for name, given in same.items()} == {"weak": 30, "strong": 10}
    half = allot(Budget(match="flops", per_problem="strong"), costs, {"weak": Length(50, 2), "strong": Length(50, 1)},
                 {"weak": 8, "strong": 10})
    assert half["weak"].samples == 60


def test_rounding_is_down_and_the_rest_is_told():
    """A third of a token a sample, ten thirds to spend: exactly ten, where floating point would say nine."""
    given = allot(Budget(match="price", per_problem="a"), {"a": Fraction(1), "b": Fraction(3)},
                  {"a": Length(1, 3), "b": Length(1, 3)}, {"a": 10, "b": 1})
    assert given["a"] == Allotment(10, Fraction(1, 3), Fraction(10, 3)) and given["a"].left == 0
    assert given["b"].samples == 3 and given["b"].left == Fraction(1, 3)


def test_a_budget_that_buys_nothing_says_how_much_would_do():
    with pytest.raises(UserError, match="'a' costs 50 FLOPs on average, and a problem may cost 49"):
        allot(Budget(match="flops", per_problem=49), {"a": Fraction(1)}, {"a": Length(100, 2)}, {"a": 1})


def test_samples_cost_one_however_long():
    given = allot(Budget(match="samples", per_problem=7), {"a": None}, {"a": Length(999, 2)}, {"a": 1})
    assert given["a"].samples == 7


def test_a_token_costs_twice_the_active_parameters_or_its_price():
    tiny = EmbeddedGenerator(name="tiny", engine="embedded", price=0.3)
    assert token_cost("flops", tiny, model_path("tiny")) == 2 * 858_240
    assert token_cost("flops", tiny.model_copy(update={"parameters": 7}), "nowhere") == 14
    assert token_cost("price", tiny, "nowhere") == Fraction(3, 10_000_000)
    with pytest.raises(UserError, match="'tiny' has no `price`"):
        token_cost("price", tiny.model_copy(update={"price": None}), "nowhere")


def test_no_hub_is_asked_about_a_name_on_a_server(monkeypatch):
    monkeypatch.setattr("stepforge.pipelines.budget.model_parameters", lambda *a: pytest.fail("asked"))
    hosted = EndpointGenerator(name="ours", engine="endpoint", model="secret-7b", url="http://127.0.0.1:1")
    with pytest.raises(UserError, match="'ours' has no `parameters`, which FLOPs need"):
        token_cost("flops", hosted, hosted.model)
    assert spent_on("flops", hosted, hosted.model, 100, 10, 0) is None


def test_money_counts_what_was_read_at_its_own_price():
    """A million read, half of it cached, and a tenth of a million written: 0.5 + 0.05 + 0.4 units."""
    priced = EmbeddedGenerator(name="p", engine="embedded", price=4, input_price=1, cached_input_price=0.1)
    assert spent_on("price", priced, "nowhere", 1e5, 1e6, 5e5) == pytest.approx(0.95)
    plain = priced.model_copy(update={"cached_input_price": None})
    assert spent_on("price", plain, "nowhere", 1e5, 1e6, 5e5) == pytest.approx(1.4)
    assert spent_on("price", EmbeddedGenerator(name="p", engine="embedded", price=4), "nowhere", 1e5, 1e6, 0) == 0.4
    assert spent_on("flops", priced, model_path("tiny"), 1, 1e6, 0) == 2 * 858_240
    assert spent_on("price", priced.model_copy(update={"price": None}), "nowhere", 1, 1, 1) is None


def test_a_batch_saves_its_discount():
    batch = BatchGenerator(name="b", engine="batch", model="m", price=4, input_price=1, batch_discount=0.5)
    assert spent_on("price", batch, "nowhere", 1e5, 1e6, 0) == pytest.approx(0.7)


def test_a_budget_of_money_pays_for_prompts():
    """10 tokens written for 4 units each, 40 read for 1 each: 80 a sample; without a price of input 40."""
    priced = EmbeddedGenerator(name="p", engine="embedded", price=4e6, input_price=1e6)
    given = allot(Budget(match="price", per_problem=160), {"p": Fraction(4)}, {"p": Length(20, 2, 80)}, {"p": 1},
                  {"p": priced})
    assert given["p"] == Allotment(2, Fraction(80), Fraction(160))
    given = allot(Budget(match="price", per_problem=160), {"p": Fraction(4)}, {"p": Length(20, 2, 80)}, {"p": 1})
    assert given["p"].samples == 4


@pytest.mark.parametrize(("kind", "options", "experts"), [
    ("mixtral", {"num_local_experts": 8, "num_experts_per_tok": 2}, 3 * 32 * 48),
    ("qwen2_moe", {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
                   "shared_expert_intermediate_size": 24}, 3 * 32 * 16),
])
def test_a_mixture_counts_the_experts_that_compute_a_token(tmp_path, kind, options, experts):
    """Three matrices an expert, two layers: what two of the experts leave idle is the difference."""
    config = {"model_type": kind, "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, **options}
    (tmp_path / "config.json").write_text(json.dumps(config))
    parameters = model_parameters(str(tmp_path))
    idle = options.get("num_local_experts", options.get("num_experts")) - 2
    assert parameters.total - parameters.active == 2 * idle * experts and parameters.active > 0


def test_a_model_without_a_config_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="give `parameters` in the recipe"):
        model_parameters(str(tmp_path))


@pytest.mark.parametrize(("budget", "said"), [
    ({"match": "flops", "per_problem": "nobody"}, "'nobody' is neither a number nor among"),
    ({"match": "flops", "per_problem": -1}, "above 0 and finite"),
    ({"match": "watts", "per_problem": 1}, "'watts' is not among flops, price, samples"),
    ({"match": "flops", "per_problem": 1, "pilots": 2}, "allowed here: match, per_problem, pilot"),
])
def test_a_budget_that_does_not_fit_names_the_field(tmp_path, budget, said):
    (tmp_path / "r.yaml").write_text(json.dumps({**RUN, "budget": budget}))
    with pytest.raises(RecipeError, match=said):
        load_recipe(tmp_path / "r.yaml")


def test_a_budget_needs_generators_that_can_write():
    recorded = {"name": "mine", "engine": "recorded", "paths": ["x.jsonl"]}
    with pytest.raises(ValueError, match="are recorded"):
        Recipe.model_validate({**RUN, "generators": [recorded], "budget": {"match": "samples", "per_problem": 2}})


def test_powers_of_ten_are_numbers_in_yaml_too():
    assert Budget.model_validate({"match": "flops", "per_problem": "2e9"}).per_problem == 2e9


@pytest.fixture(scope="module")
def spent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "budget"
    execute({**RUN, "budget": {"match": "flops", "per_problem": "strong"}}, folder)
    return folder


def test_a_run_makes_what_its_budget_buys(spent):
    budgets = {row["generator"]: row for row in rows(spent, "budgets")}
    weak, strong = budgets["weak"], budgets["strong"]
    assert strong["samples"] == 2 and strong["remainder"] == 0
    mean = {name: row["pilot_tokens"] / row["pilot_samples"] for name, row in budgets.items()}
    assert weak["samples"] == math.floor(2 * 2_700_000 * mean["strong"] / (858_240 * mean["weak"]))
    assert 0 <= weak["remainder"] < weak["sample_cost"]
    made = [(row["generator"], row["problem_id"]) for row in rows(spent, "solutions")]
    assert {name: made.count((name, rows(spent, "problems")[0]["problem_id"])) for name in budgets} == {
        "weak": weak["samples"], "strong": 2}


def test_the_pilot_is_paid_once(spent):
    """The journal holds every sample of the table and no other: 6 problems, the pilot's two samples among them."""
    generator = Recipe.model_validate(RUN).generators[0]
    journal = (spent / "generated" / generator_id(generator)).glob("*.jsonl")
    asked = sum(len(path.read_text().splitlines()) for path in journal)
    assert asked == sum(row["generator"] == "weak" for row in rows(spent, "solutions"))


def test_a_larger_budget_adds_only_what_is_missing(spent, tmp_path):
    folder = tmp_path / "budget"
    shutil.copytree(spent, folder)
    before = {row["solution_id"] for row in rows(folder, "solutions")}
    limit = rows(folder, "budgets")[0]["budget"]
    execute({**RUN, "budget": {"match": "flops", "per_problem": limit * 1.5}}, folder)
    after = {row["solution_id"] for row in rows(folder, "solutions")}
    assert before < after
    lines = [line for path in (folder / "generated").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == len({json.loads(line)["key"] for line in lines}) == len(after)


def test_the_study_of_sizes_is_a_recipe_that_fits():
    recipe = load_recipe(Path(__file__).parents[2] / "train/studies/weak_and_strong.yaml")
    assert recipe.budget and recipe.budget.per_problem == "larger"
