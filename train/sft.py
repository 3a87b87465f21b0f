"""Supervised fine-tuning on the verified solutions of a release.

    python -m stepforge.train.sft --config tiny_sft --dataset PATH --output_dir build/sft

In: config `positives`, all of them or those that one `--generator` wrote. Loss: cross entropy of the completion's
tokens, and of EOS where the model ended it itself.
"""

from dataclasses import dataclass, field
from typing import Any

from trl import SFTConfig, SFTTrainer

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.script import chosen_by, start, user_errors
from stepforge.train.tokens import encode, labelled

COLUMNS = {"prompt": "text", "completion": "text", "complete": "bool"}


@dataclass
class Arguments(ReleaseArguments):
    """Arguments of this script."""

    generator: str | None = field(
        default=None, metadata={"help": "Train on the solutions of this generator of the recipe (default: of all)."})


def main(argv: list[str] | None = None) -> None:
    """Fine-tune as the command line says; see `start` and `Run` of script.py."""
    with user_errors("sft"):
        run = start("sft", argv, Arguments, SFTConfig, config="positives")

        def encode_row(row: dict[str, Any]) -> dict[str, Any]:
            return labelled(encode(run.tokenizer, row["prompt"], row["completion"], row["complete"] is not False))

        if run.script.generator is None:
            data = run.rows(COLUMNS, encode_row)
        else:
            data = run.rows(COLUMNS | {"generator": "text"}, encode_row, chosen_by("generator", run.script.generator))
        run.fit(run.trainer(SFTTrainer, *data))


if __name__ == "__main__":
    main()
