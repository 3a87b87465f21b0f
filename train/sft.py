"""Supervised fine-tuning on the verified solutions of a release.

    python -m stepforge.train.sft --config train/recipes/tiny_sft.yaml --dataset PATH --output_dir build/sft

In: config `positives`. Loss: cross entropy of the completion's tokens, and of EOS where the model ended it itself.
"""

from typing import Any

from trl import SFTConfig, SFTTrainer

from stepforge.train.script import ReleaseArguments, start, user_errors
from stepforge.train.tokens import encode, labelled

COLUMNS = {"prompt": "text", "completion": "text", "complete": "bool"}


def main(argv: list[str] | None = None) -> None:
    """Fine-tune as the command line says; see `start` and `Run` of script.py."""
    with user_errors("sft"):
        run = start("sft", argv, ReleaseArguments, SFTConfig, config="positives")

        def encode_row(row: dict[str, Any]) -> dict[str, Any]:
            return labelled(encode(run.tokenizer, row["prompt"], row["completion"], row["complete"] is not False))

        run.fit(run.trainer(SFTTrainer, *run.rows(COLUMNS, encode_row)))


if __name__ == "__main__":
    main()
