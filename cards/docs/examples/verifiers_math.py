"""An environment of verifiers 0.1 out of a release: its tasks, judged by our verifier.

    pip install stepforge 'verifiers<0.2'
    vf-eval verifiers_math -a '{"release": "org/gsm8k-steps", "revision": "v1.0.0", "least": 0.1, "most": 0.9}'
"""

from typing import Any

import verifiers as vf
from datasets import load_dataset

from stepforge import reward


def right_answer(completion: Any, answer: str, **_: Any) -> float:
    """1.0 for a correct completion, else 0.0: an environment cannot leave an undecided one out."""
    return reward([completion], [answer])[0] or 0.0


def load_environment(release: str, revision: str | None = None, split: str = "train", least: float = 0.0,
                     most: float = 1.0) -> vf.Environment:
    """The problems of `split` whose pass rate is from `least` to `most`."""
    rows = load_dataset(release, "rl", split=split, revision=revision)
    rows = rows.filter(lambda row: row["pass_rate"] is not None and least <= row["pass_rate"] <= most)
    rows = rows.map(lambda row: {"prompt": [{"role": "user", "content": row["prompt"]}]})
    return vf.SingleTurnEnv(dataset=rows.select_columns(["prompt", "answer"]), rubric=vf.Rubric(funcs=[right_answer]))
