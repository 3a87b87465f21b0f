"""Group-relative policy optimisation with verified answers as reward: the on-policy reference point.

    python -m stepforge.train.grpo --config tiny_grpo --dataset PATH

In: config `rl`, prompts with gold answers. The model samples, and `--reward` judges: a function `module:name` in TRL's
signature, which gets the completions and the columns of the data set (`answer` among them) and gives a score or None
for each. With `--prm` and `--alpha`, steps are rewarded for progress too (progress.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import GRPOConfig, GRPOTrainer

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.progress import ProgressTrainer, open_prover
from stepforge.train.release import Release, ReleaseError
from stepforge.train.script import Run, start, user_errors

COLUMNS = {"prompt": "text", "answer": "text"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    reward: str = field(
        default="stepforge.pipelines.answers:reward", metadata={"help": "Reward function, as module:name."})
    prm: str | None = field(default=None, metadata={
        "help": "Process reward model, a folder or Hub id, that also rewards each step for progress."})
    alpha: float | None = field(default=None, metadata={"help": "Weight of progress, with --prm."})
    splitter: str | None = field(default=None, metadata={
        "help": "How solutions are cut into steps for --prm; by default as in the release's `annotate`."})


def load_reward(name: str) -> Callable[..., list[float | None]]:
    """The function that `module:name` names; ReleaseError where there is none."""
    module, _, function = name.partition(":")
    try:
        reward = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReleaseError(f"--reward {name!r}: {error}; give module:function, importable from here") from error
    return reward


def prompts(release: Release, config: str, split: str, tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """Prompt and gold answer of each problem.

    TRL tokenizes prompts by itself: a BOS that a chat template wrote is left to a tokenizer that adds one.
    """
    rows, bos = release.rows(config, split, COLUMNS).select_columns(list(COLUMNS)), tokenizer.bos_token
    if not bos or tokenizer("").input_ids[:1] != [tokenizer.bos_token_id]:
        return rows
    return rows.map(lambda row: {"prompt": row["prompt"].removeprefix(bos)})


def trainer_of(run: Run) -> tuple[type[GRPOTrainer], dict[str, Any]]:
    """The trainer and what only it takes; ReleaseError for options of --prm that do not go together.

    Q and A are added on one scale, that of probabilities, so rewards must not be divided by their deviation.
    """
    script, args = run.script, run.training
    if script.prm is None and script.alpha is None and script.splitter is None:
        return GRPOTrainer, {}
    if script.prm is None or script.alpha is None:
        raise ReleaseError(f"--prm is {script.prm}, --alpha {script.alpha} and --splitter {script.splitter}; give "
                           "--prm with --alpha, or none of the three")
    if args.scale_rewards != "none" or args.multi_objective_aggregation != "sum_then_normalize":
        raise ReleaseError(f"--scale_rewards is {args.scale_rewards}, --multi_objective_aggregation "
                           f"{args.multi_objective_aggregation}; with --prm give --scale_rewards none and leave the "
                           "other out, so that reward and progress have one scale")
    return ProgressTrainer, {"prover": open_prover(script.prm, script.alpha, script.splitter, run.release)}


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says; see `start` and `Run` of script.py."""
    with user_errors("grpo"):
        run = start("grpo", argv, Arguments, GRPOConfig, config="rl")
        config = run.script.dataset_config
        train = run.at_most(prompts(run.release, config, run.script.train_split, run.tokenizer))
        evaluation = run.script.eval_split and prompts(run.release, config, run.script.eval_split, run.tokenizer)
        kind, more = trainer_of(run)
        run.fit(run.trainer(kind, train, evaluation, reward_funcs=load_reward(run.script.reward), **more))


if __name__ == "__main__":
    main()
