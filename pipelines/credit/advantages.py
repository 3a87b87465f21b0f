"""Values, intervals, advantages and pits from counts of rollouts.

In: how many rollouts from a step succeeded, and whether their number was fixed beforehand. Out: Q with an interval,
the advantage A_i = Q_i - Q_{i-1} with a joint interval, and the first pit of a negative under three rules. Two
estimators are told apart everywhere. `fixed_n`: n was chosen before any outcome was seen, so successes/n is unbiased
and the interval is Clopper-Pearson's, which covers at least at its nominal rate for every Q. (Wilson's covers so on
average over Q only; near Q = 0, where pits are, it falls short.) `sequential`: a rule looked at outcomes and chose n,
which biases the plain ratio; the interval is then a confidence sequence, which covers whatever the rule was.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import comb, exp, fsum, lgamma, log, log1p
from typing import Literal, NamedTuple

Estimator = Literal["fixed_n", "sequential"]
Interval = tuple[float, float]


class StepValue(NamedTuple):
    """What is known of one step; the columns of the `steps` table. Those from `q_model` on are beliefs of a model.

    `rollouts` and `successes` are raw counts (of the plain policy, whatever `best_of` is) without excluded rollouts.
    `q` is None where no rollout was made and the step is not the last one; its interval is then [0, 1].
    """

    rollouts: int
    successes: int
    q: float | None
    q_low: float
    q_high: float
    advantage: float | None
    advantage_low: float
    advantage_high: float
    estimator: Estimator
    is_pit: bool = False
    q_model: float | None = None            # posterior mean under the chain model, never to be read as a measurement
    q_model_low: float | None = None        # its credible interval, which holds as far as the model does
    q_model_high: float | None = None
    advantage_model: float | None = None    # the same of the advantage
    advantage_model_low: float | None = None
    advantage_model_high: float | None = None
    pit_probability: float | None = None    # posterior probability that this step is the first pit
    passing_rollouts: int = 0               # of `rollouts`, those that began earlier and passed through this step
    passing_successes: int = 0


def q_fixed(successes: int, n: int) -> float:
    """successes / n: unbiased where n was fixed before the outcomes were seen."""
    _check_counts(successes, n)
    if n == 0:
        raise ValueError("q_fixed: n is 0, there is nothing to average; allowed: n >= 1")
    return successes / n


def best_of_k(successes: int, n: int, k: int) -> float:
    """Unbiased estimate of 1 - (1 - Q)^k, the value of the policy that keeps a correct one of k tries.

    1 - C(n - c, k) / C(n, k), from a fixed n >= k; the estimator known as pass@k (Chen et al. 2021, section 2.1).
    """
    _check_counts(successes, n)
    if not 1 <= k <= n:
        raise ValueError(f"best_of_k: k is {k} with n = {n} rollouts; allowed: 1 <= k <= n; ask for more rollouts")
    return 1.0 - comb(n - successes, k) / comb(n, k)


def first_success_bias(n: int, k: int) -> float:
    """The largest bias, over all Q, of 1 - (1 - successes / rollouts)^k where rollouts end at the first success, or
    after n of them: the first success comes at rollout i with probability Q (1 - Q)^(i - 1)."""
    def bias(q: float) -> float:
        return sum(q * (1 - q) ** (i - 1) * (1 - (1 - 1 / i) ** k) for i in range(1, n + 1)) - (1 - (1 - q) ** k)

    return max(abs(bias(q / 1000)) for q in range(1001))


@lru_cache(maxsize=65536)
def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Interval for Q from a fixed n: no Q outside it makes a result this extreme likelier than (1 - level)/2.

    Clopper and Pearson (1934). Coverage >= level for every Q and n; (0, 1) for n = 0.
    """
    _check_counts(successes, n)
    tail = _alpha(level) / 2

    def low(k: int) -> float:
        return 0.0 if k == 0 else _root(lambda p: _binomial_tail(k, n, p) - tail, 0.0, k / n)

    return low(successes), 1.0 - low(n - successes)


@lru_cache(maxsize=65536)
def confidence_sequence(successes: int, n: int, level: float = 0.95) -> Interval:
    """Interval for Q that covers at all times at once, so that any stopping rule may have chosen n.

    All p for which the mixture likelihood ratio B(c + 1/2, n - c + 1/2) / B(1/2, 1/2) / (p^c (1-p)^(n-c)) stays
    below 1/alpha. The ratio is a non-negative martingale of mean 1 under p, so by Ville's inequality it ever passes
    1/alpha with probability <= alpha (Robbins 1970, "Statistical methods related to the law of the iterated
    logarithm"). It holds at a node of a search too: which node comes next may depend on all that was seen, the next
    outcome *at* a node is still a Bernoulli(Q) draw.
    """
    _check_counts(successes, n)
    log_bar = -log(_alpha(level))
    if n == 0:
        return 0.0, 1.0
    failures = n - successes
    mixture = _log_beta(successes + 0.5, failures + 0.5) - _log_beta(0.5, 0.5)

    def excess(p: float) -> float:
        likelihood = (successes * log(p) if successes else 0.0) + (failures * log1p(-p) if failures else 0.0)
        return mixture - likelihood - log_bar

    centre, tiny = successes / n, 1e-12
    low = 0.0 if successes == 0 else _root(excess, tiny, min(centre, 1 - tiny))
    high = 1.0 if failures == 0 else _root(excess, max(centre, tiny), 1 - tiny)
    return low, high


def q_interval(successes: int, n: int, estimator: Estimator, level: float = 0.95) -> Interval:
    """The interval that is right for how n came about."""
    return (clopper_pearson if estimator == "fixed_n" else confidence_sequence)(successes, n, level)


def difference(after: Interval, before: Interval) -> Interval:
    """Interval of Q_i - Q_{i-1} from two intervals.

    With each at level 1 - alpha/2 both hold together with probability >= 1 - alpha (Bonferroni), so this one covers
    at 1 - alpha however the two depend on each other, shared rollouts included. An exactly known side costs no
    alpha: the other one may then be at 1 - alpha.
    """
    return after[0] - before[1], after[1] - before[0]


def argmin_q(values: Sequence[StepValue], eps: float = 0.05) -> int | None:
    """First step i with Q_i <= min Q + eps: the paper's "first step with the lowest Q" with a tolerance."""
    known = [(i, v.q) for i, v in enumerate(values) if v.q is not None]
    if not known:
        return None
    bar = min(q for _, q in known) + eps
    return next(i for i, q in known if q <= bar)


def zero_success(values: Sequence[StepValue], n: int) -> int | None:
    """First step from which none of at least n rollouts succeeded; a finished wrong solution counts as such."""
    return next((i for i, v in enumerate(values)
                 if v.successes == 0 and (v.rollouts >= n or (v.q_low, v.q_high) == (0.0, 0.0))), None)


def largest_drop(values: Sequence[StepValue]) -> int | None:
    """The step with the lowest advantage, the first one of equals."""
    known = [(v.advantage, i) for i, v in enumerate(values) if v.advantage is not None]
    return min(known)[1] if known else None


def _check_counts(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} rollouts; allowed: 0 <= successes <= n")


def _alpha(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"confidence level {level}; allowed: strictly between 0 and 1, for example 0.95")
    return 1 - level


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _binomial_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p)."""
    if p in (0.0, 1.0):
        return float(p == 1.0 or k == 0)
    return fsum(exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p))
                for i in range(k, n + 1))


def _root(f: Callable[[float], float], a: float, b: float) -> float:
    """Where f changes sign between a and b, by bisection to the last useful digit."""
    sign = f(a) > 0
    for _ in range(60):
        middle = (a + b) / 2
        a, b = (middle, b) if (f(middle) > 0) == sign else (a, middle)
    return (a + b) / 2
