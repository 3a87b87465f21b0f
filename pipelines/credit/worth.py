"""What one more rollout can be expected to tell, under the beliefs of the chain model.

In: the model's posteriors (chain.py). Out: for every node, what the next outcome there takes from the uncertainty of
the first pit, and from that of the advantages. The search divides it by what the rollout costs (adaptive.py).
"""

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.credit.chain import Posterior
from stepforge.pipelines.credit.evidence import Array

# Of value_information. A POWER above 0 gives uncertain advantages less weight: of -0.3, 0 and 0.3, the last is best in
# both worlds of the exact benchmark, by 0 to 4% of the tokens. SCALE makes the unit compare with nats.
POWER, SCALE = 0.3, 1.5
TINY = 1e-8      # of a variance: what is known needs no rollouts


def pit_information(beliefs: Posterior) -> Array:
    """[B, N] mutual information, in nats, of the next outcome at a node and the place of the first pit."""
    success = np.maximum(beliefs.q, 1e-12)[:, None, :]
    given_success = beliefs.pit_q / success
    given_failure = (beliefs.pit[:, :, None] - beliefs.pit_q) / (1 - success)
    left = success[:, 0] * _entropy(given_success) + (1 - success[:, 0]) * _entropy(given_failure)
    return np.maximum(0.0, _entropy(beliefs.pit[:, :, None]) - left)


def value_information(beliefs: Posterior, last: NDArray[np.int64]) -> Array:
    """[B, N] by how much the next outcome at a node lowers the variances of all advantages, each divided by a power of
    its standard deviation."""
    covariance = beliefs.q_q - beliefs.q[:, :, None] * beliefs.q[:, None, :]
    with_outcome = np.diff(covariance, axis=1)                                   # Cov(A_i, q_j) [B, N-1, N]
    explained = with_outcome ** 2 / np.maximum(beliefs.q * (1 - beliefs.q), 1e-12)[:, None, :]
    variance = np.diagonal(np.diff(with_outcome, axis=2), axis1=1, axis2=2)[..., None]
    steps = np.arange(1, beliefs.q.shape[1])[None] <= last[:, None]
    weight = SCALE * steps[..., None] / np.maximum(variance, TINY) ** (POWER / 2)
    return np.asarray((weight * explained).sum(1))


def _entropy(p: Array) -> Array:
    """Over axis 1, in nats."""
    p = np.clip(p, 0, 1)
    return np.asarray(-(p * np.log(np.maximum(p, 1e-12))).sum(1))
