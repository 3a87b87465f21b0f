"""Group-relative policy optimisation with verified answers as reward: the on-policy reference point.

    python -m stepforge.train.grpo --config tiny_grpo --dataset PATH

In: config `rl`, prompts with gold answers. The model samples, and `--reward` judges: a function `module:name` in TRL's
signature, which gets the completions and the columns of the data set (`answer` among them) and gives a score or None
for each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.release import Release, ReleaseError
from stepforge.train.script import start, user_errors

COLUMNS = {"prompt": "text", "answer": "text"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    reward: str = field(
        default="stepforge.pipelines.answers:reward", metadata={"help": "Reward function, as module:name."})


def load_reward(name: str) -> Callable[..., list[float | None]]:
    """The function that `module:name` names; ReleaseError where there is none."""
    module, _, function = name.partition(":")
    try:
        reward = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReleaseError(f"--reward {name!r}: {error}; give module:function, importable from here") from error
    return reward


def prompts(release: Release, config: str, split: str) -> Dataset:
    """Prompt and gold answer of each problem."""
    return release.rows(config, split, COLUMNS).select_columns(list(COLUMNS))


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says; see `start` and `Run` of script.py."""
    with user_errors("grpo"):
        run = start("grpo", argv, Arguments, GRPOConfig, config="rl")
        config = run.script.dataset_config
        train = run.at_most(prompts(run.release, config, run.script.train_split))
        evaluation = run.script.eval_split and prompts(run.release, config, run.script.eval_split)
        run.fit(run.trainer(GRPOTrainer, train, evaluation, reward_funcs=load_reward(run.script.reward)))


if __name__ == "__main__":
    main()
