"""Group-relative policy optimisation with verified answers as reward: the on-policy reference point.

    python -m stepforge.train.grpo --config train/recipes/tiny_grpo.yaml --dataset PATH

In: config `problems` for the gold answers, and for the prompts, which `problems` does not hold, the first row of each
problem in --prompts_from. The model samples, and `--reward` judges: a function `module:name` in TRL's signature, which
gets the completions and the columns of the data set (`answer` among them) and gives a score or None for each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from stepforge.train.release import Release, ReleaseError
from stepforge.train.script import ReleaseArguments, say, start, user_errors

COLUMNS = {"problem_id": "text", "answer": "text"}
PROMPTS = {"problem_id": "text", "prompt": "text"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    reward: str = field(
        default="stepforge.pipelines.answers:reward", metadata={"help": "Reward function, as module:name."})
    prompts_from: str = field(default="unpaired", metadata={"help": "Config whose prompts are sampled from."})


def load_reward(name: str) -> Callable[..., list[float | None]]:
    """The function that `module:name` names; ReleaseError where there is none."""
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReleaseError(f"--reward {name!r}: {error}; give module:function, importable from here") from error
    return found


def prompts(release: Release, config: str, prompts_from: str, split: str) -> Dataset:
    """One row a problem: its prompt and gold answer. Problems without a prompt are counted and told."""
    answers = release.rows(config, split, COLUMNS)
    of_problem = dict(zip(answers["problem_id"], answers["answer"], strict=True))
    rows = release.rows(prompts_from, split, PROMPTS)
    first = dict(zip(reversed(rows["problem_id"]), reversed(rows["prompt"]), strict=True))
    found = [{"prompt": prompt, "answer": of_problem[problem_id]}
             for problem_id, prompt in reversed(first.items()) if problem_id in of_problem]
    say(f"{config}/{split}: {len(answers)} problems in, {len(found)} with a prompt in {prompts_from}")
    if not found:
        raise ReleaseError(f"no problem of {config}/{split} has a prompt in {prompts_from}; set --prompts_from")
    return Dataset.from_list(found)


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says; see `start` and `Run` of script.py."""
    with user_errors("grpo"):
        run = start("grpo", argv, Arguments, GRPOConfig, config="problems")
        configs = (run.script.dataset_config, run.script.prompts_from)
        train = run.at_most(prompts(run.release, *configs, run.script.train_split))
        evaluation = run.script.eval_split and prompts(run.release, *configs, run.script.eval_split)
        run.fit(run.trainer(GRPOTrainer, train, evaluation, reward_funcs=load_reward(run.script.reward)))


if __name__ == "__main__":
    main()
