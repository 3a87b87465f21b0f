"""Budgets: how many samples of each generator the same money, or the same compute, buys for one problem.

In: parameters, prices and measured lengths. Out: a number of samples for every generator, rounded down, with what is
left over. Money counts what a model reads and what it writes. A generated token costs 2 FLOPs for every parameter that
computes it (Kaplan et al., arXiv 2001.08361, section 2.1), so that
samples_weak = samples_strong * (P_strong * W_strong) / (P_weak * W_weak) (Bansal et al., arXiv 2408.16737, section 3).
FLOPs leave out reading the prompt, as there. Sums are exact fractions: a budget that buys 30 samples never buys 29
because of a rounded length.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.models import model_parameters
from stepforge.pipelines.options.budget import Budget
from stepforge.pipelines.options.generators import BatchGenerator, HostedModel, Sampler

PER_PRICE = 1_000_000  # tokens that a price is for
TOO_DEAR = ("budget: one sample of {name!r} costs {cost:.4g} {unit} on average, and a problem may cost {limit:.4g}; "
            "give at least that much, or leave the generator out")
UNITS = {"flops": "FLOPs", "price": "units of money", "samples": "samples"}


class Length(NamedTuple):
    """Generated tokens of so many samples, and the tokens that the model read for them."""

    tokens: int
    samples: int
    read: int = 0


class Allotment(NamedTuple):
    """A generator's part of the budget: samples per problem, their mean cost, and the amount left over."""

    samples: int
    cost: Fraction
    limit: Fraction

    @property
    def left(self) -> Fraction:
        return self.limit - self.samples * self.cost


def token_cost(match: str, generator: Sampler, model: str) -> Fraction | None:
    """Cost of one generated token; null if every sample costs 1 regardless of its length.

    Raises:
        UserError: the price is not known, or the parameters cannot be counted.
    """
    if match == "samples":
        return None
    if match == "flops":
        return Fraction(2 * (generator.parameters or _counted(generator, model)))
    if generator.price is None:
        raise UserError(f"generators: {generator.name!r} has no `price` (per million generated tokens), which a "
                        "comparison by price needs")
    discount = Fraction(str(generator.batch_discount)) if isinstance(generator, BatchGenerator) else Fraction(0)
    return Fraction(str(generator.price)) * (1 - discount) / PER_PRICE


def _counted(generator: Sampler, model: str) -> int:
    """Active parameters, from the model's config. A name on a server stays there: no Hub is asked about it."""
    if isinstance(generator, HostedModel) and not Path(model).is_dir():
        raise UserError(f"generators: {generator.name!r} has no `parameters`, which FLOPs need")
    return model_parameters(model, getattr(generator, "revision", None)).active


def as_generated(match: str, generator: Sampler, generated: Fraction | float, read: Fraction | float = 0,
                 cached: Fraction | float = 0) -> Fraction:
    """The number of generated tokens that cost as much as all of these.

    Money counts what the model read, of which `cached` was in its cache; FLOPs are those of generated tokens alone.
    """
    total = Fraction(generated)
    if match == "price" and generator.price is not None:
        each = Fraction(str(generator.input_price or 0))
        each_cached = each if generator.cached_input_price is None else Fraction(str(generator.cached_input_price))
        paid = each * (Fraction(read) - Fraction(cached)) + each_cached * Fraction(cached)
        total += paid / Fraction(str(generator.price))
    return total


def spent_on(match: str, generator: Sampler, model: str, generated: float, read: float, cached: float) -> float | None:
    """FLOPs or money for tokens; null where the model's size or its price is not known."""
    try:
        cost = token_cost(match, generator, model)
    except UserError:
        return None
    return None if cost is None else float(cost * as_generated(match, generator, generated, read, cached))


def allot(budget: Budget, costs: Mapping[str, Fraction | None], lengths: Mapping[str, Length],
          samples: Mapping[str, int], generators: Mapping[str, Sampler] | None = None) -> dict[str, Allotment]:
    """Samples of each problem for every generator of `costs`.

    Args:
        costs: of a generated token, by generator; null where a sample costs 1.
        lengths: measured on the pilot.
        samples: of the recipe; they count only for the generator that sets the budget.
        generators: whose prices say what reading costs; without them it costs nothing.

    Raises:
        UserError: the budget does not buy a single sample of a generator.
    """
    mean = {name: _sample_cost(cost, lengths[name], budget.match, (generators or {}).get(name))
            for name, cost in costs.items()}
    if isinstance(budget.per_problem, str):
        limit = mean[budget.per_problem] * samples[budget.per_problem]
    else:
        limit = Fraction(str(budget.per_problem))
    for name, cost in mean.items():
        if cost > limit:
            raise UserError(TOO_DEAR.format(name=name, cost=float(cost), limit=float(limit),
                                            unit=UNITS[budget.match]))
    return {name: Allotment(limit // cost, cost, limit) for name, cost in mean.items()}


def _sample_cost(token: Fraction | None, length: Length, match: str, generator: Sampler | None) -> Fraction:
    if token is None:
        return Fraction(1)
    tokens = Fraction(max(1, length.tokens))
    if generator is not None:
        tokens = as_generated(match, generator, tokens, length.read)
    return token * tokens / max(1, length.samples)
