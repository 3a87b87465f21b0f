"""Per-step preference optimisation: the pairs differ at the step that lost the problem.

    python -m stepforge.train.step_dpo --config tiny_step_dpo --dataset PATH --mode shared_prefix

In: config `step_pairs`, the rows of one `mode`. `full_vs_truncated`: a whole correct solution against an incorrect one
truncated after its first pit (the algorithm of arXiv 2406.14532). `shared_prefix`: a good step against the pit step,
both after the same prefix, which is part of the prompt and carries no loss (the paper's theorem). EOS is appended only
where a solution really ends (`chosen_complete`, `rejected_complete`): after a step in the middle of a solution it
would teach the model to stop there.
"""

from dataclasses import dataclass, field

from trl import DPOConfig

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.dpo import PairTrainer, encode_pair
from stepforge.train.script import chosen_by, start, user_errors

COLUMNS = {"prompt": "text", "chosen": "text", "rejected": "text", "chosen_complete": "bool",
           "rejected_complete": "bool", "mode": "text"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    mode: str = field(default="full_vs_truncated", metadata={"help": "Pairs of: full_vs_truncated or shared_prefix."})


def main(argv: list[str] | None = None) -> None:
    """Fine-tune as the command line says; see `start` and `Run` of script.py."""
    with user_errors("step_dpo"):
        run = start("step_dpo", argv, Arguments, DPOConfig, config="step_pairs")
        keep = chosen_by("mode", run.script.mode)
        run.fit(run.trainer(PairTrainer, *run.rows(COLUMNS, lambda row: encode_pair(run.tokenizer, row), keep)))


if __name__ == "__main__":
    main()
