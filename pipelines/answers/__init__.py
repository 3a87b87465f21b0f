"""Verdicts on model-written solutions: is the final answer right, and do the equations on the way hold?

`verify("18", solution)` answers for one solution; a `Verifier` streams over millions. `correct`, `incorrect` and
`undecided` (with a reason) are kept apart. Model output is never executed. `open_verifier` opens ours or a verifier
of the user's own.
"""

from stepforge.pipelines.answers.arithmetic import Equation, equation_key, equations, first_false_step
from stepforge.pipelines.answers.extract import Extraction, extract_answer
from stepforge.pipelines.answers.keys import answer_key
from stepforge.pipelines.answers.outcome import UNDECIDED_REASONS, VERSION, Claim, Verdict, fingerprint
from stepforge.pipelines.answers.protocol import AnyVerifier, open_verifier, versions
from stepforge.pipelines.answers.rewards import compute_score, reward
from stepforge.pipelines.answers.verifier import Verifier, verify

__all__ = ["UNDECIDED_REASONS", "VERSION", "AnyVerifier", "Claim", "Equation", "Extraction", "Verdict",
           "Verifier", "answer_key", "compute_score", "equation_key", "equations", "extract_answer", "fingerprint",
           "first_false_step", "open_verifier", "reward", "verify", "versions"]
