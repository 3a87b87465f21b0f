"""What the methods share: their command line, their data on the way in, the model and its card on the way out.

A method gives its arguments, the columns it needs and a function that encodes one row; this file parses
`--config x.yaml --learning_rate ...` in TRL's manner, opens the release, encodes and counts its rows, trains, resumes,
saves, and has the model card written. A user's mistake ends in one message and exit code 2. Every method works alone
and under `accelerate launch -m`.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase, Trainer
from trl import ModelConfig, get_peft_config, get_quantization_config

from stepforge.builders.terminal import printable
from stepforge.train.arguments import parse
from stepforge.train.card import RECORD, write_card
from stepforge.train.release import Release, ReleaseError, open_release
from stepforge.train.resume import Checkpoint, TrainedWith, checkpoint_of, settings_of
from stepforge.train.tokens import load_tokenizer

Encode = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Run:
    """One training: its arguments (of the script, of the trainer, of the model), release and tokenizer."""

    method: str
    script: Any
    training: Any
    model: ModelConfig
    release: Release
    tokenizer: PreTrainedTokenizerBase
    settings: dict[str, Any]
    checkpoint: Checkpoint | None

    def rows(
        self, columns: Mapping[str, str], encode: Encode, keep: Callable[[Dataset], Dataset] = lambda rows: rows
    ) -> tuple[Dataset, Dataset | None]:
        """Encoded rows to train on and, where --eval_split names one, to evaluate on. `keep` chooses among rows."""
        train = self.at_most(keep(self.release.rows(self.script.dataset_config, self.script.train_split, columns)))
        encoded = self._encoded(train, encode, self.script.train_split)
        if self.script.eval_split is None:
            return encoded, None
        evaluation = keep(self.release.rows(self.script.dataset_config, self.script.eval_split, columns))
        return encoded, self._encoded(evaluation, encode, self.script.eval_split)

    def at_most(self, rows: Dataset) -> Dataset:
        """All rows, or --max_rows of them, drawn by --seed."""
        if self.script.max_rows is None:
            return rows
        return rows.shuffle(seed=self.training.seed).select(range(min(self.script.max_rows, len(rows))))

    def _encoded(self, rows: Dataset, encode: Encode, split: str) -> Dataset:
        """Token columns of `rows`; those longer than --max_length (their column `length`) are dropped and told.

        TRL would cut them, which takes a solution's end away and nothing tells. ReleaseError if none is left.
        """
        limit, what = self.training.max_length, f"{self.script.dataset_config}/{split}"
        # Else `map` casts a token column to the type of the row's column of that name: targets to booleans.
        names = {name: f"of the row: {name}" for name in rows.column_names}
        with self.training.main_process_first(desc=f"encode {what}"):
            encoded = rows.rename_columns(names).map(
                lambda row: encode({name: row[renamed] for name, renamed in names.items()}),
                remove_columns=list(names.values()), desc=f"Encoding {what}")
            kept = encoded.filter(lambda length: limit is None or length <= limit, input_columns="length")
        if len(kept) == 0:
            raise ReleaseError(f"every row of {what} is longer than --max_length {limit} (the longest has "
                               f"{max(encoded['length'])} tokens); raise it")
        say(f"{what}: {len(rows)} rows in, {len(kept)} kept, {len(rows) - len(kept)} dropped as longer than "
            f"--max_length {limit}")
        return kept.remove_columns("length")

    def trainer(self, kind: type[Trainer], train: Dataset, evaluation: Dataset | None, **more: Any) -> Trainer:
        """One of TRL's trainers of a causal model, with adapters or quantisation as the model's arguments say.

        Raises ReleaseError for a model that cannot be loaded and for settings that the trainer refuses.
        """
        try:
            return kind(
                model=self.model.model_name_or_path, args=self.training, train_dataset=train, eval_dataset=evaluation,
                processing_class=self.tokenizer, peft_config=get_peft_config(self.model),
                quantization_config=get_quantization_config(self.model), **more)
        except (ValueError, OSError, ImportError) as error:
            raise ReleaseError(str(error)) from error

    def fit(self, trainer: Trainer) -> None:
        """Train, from the start or from the checkpoint; then save the model, its tokenizer, its card and a record.

        A checkpoint of a finished training is saved as the model, unless that has been done. Raises ReleaseError
        where the checkpoint cannot be loaded without training on.
        """
        args, folder = self.training, Path(self.training.output_dir)
        if self.checkpoint is not None and self.checkpoint.finished(args):
            if trained_steps(folder) == self.checkpoint.step:
                say(f"{folder} holds this training already, all {self.checkpoint.step} steps; nothing is left to do")
                return end(trainer)
            self.checkpoint.load(trainer)
        else:
            trainer.add_callback(TrainedWith(self.settings))
            trainer.train(resume_from_checkpoint=self.checkpoint and str(self.checkpoint.folder))
        trainer.save_model(args.output_dir)
        trainer.save_state()
        if trainer.is_world_process_zero():
            write_card(folder, self.record(trainer))
        if args.push_to_hub:
            trainer.push_to_hub(dataset_name=self.release.name)
        end(trainer)
        say(f"model, card and record of the training: {args.output_dir}")

    def record(self, trainer: Trainer) -> dict[str, Any]:
        """What a card or a later comparison needs; it holds no token."""
        args = self.training
        names = ("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "max_length", "beta",
                 "gradient_accumulation_steps", "lr_scheduler_type", "warmup_steps", "weight_decay", "bf16", "seed")
        script = {name: value for name, value in vars(self.script).items() if value is not None}
        return {
            "method": self.method,
            "base_model": self.model.model_name_or_path,
            "dataset": self.release.name,
            "revision": self.release.revision,
            "dataset_config": self.script.dataset_config,
            "on_hub": self.release.folder is None,
            "rows": len(trainer.train_dataset),
            "steps": trainer.state.global_step,
            "flops": trainer.state.total_flos,
            "processes": args.world_size,
            "settings": script | {name: getattr(args, name) for name in names if hasattr(args, name)},
            "recipe": self.release.manifest.get("recipe", {}),
            "packages": {name: version(name) for name in ("stepforge", "torch", "transformers", "trl", "datasets")},
            "log": trainer.state.log_history,
        }


def trained_steps(folder: Path) -> int | None:
    """Steps of the finished training that a folder holds, or None; its record is written last."""
    record = folder / RECORD
    return json.loads(record.read_text(encoding="utf-8"))["steps"] if record.is_file() else None


def end(trainer: Trainer) -> None:
    """Leave the process group: without that a launched process does not end.

    What wraps the model for several processes goes first. If it goes last, it takes the group with it while it holds
    the interpreter's lock, and a thread of Gloo's that it waits for may need that lock: a deadlock, now and then.
    """
    trainer.model_wrapped = trainer.model
    trainer.accelerator.free_memory()
    trainer.end()


def start(method: str, argv: list[str] | None, arguments: type, training: type, config: str) -> Run:
    """Parse the command line, and open the release and the tokenizer that it names.

    Raises ReleaseError for what cannot be used.
    """
    script, args, model = parse(method, argv, arguments, training)
    for name, value in (("dataset", script.dataset), ("model", model.model_name_or_path)):
        if not value:
            raise ReleaseError(f"--{name} is needed, here or in the file of --config")
    release = open_release(script.dataset, script.revision)
    if script.dataset_config is None:
        script.dataset_config = config
    settings = settings_of(method, script, args, model, release)
    checkpoint = checkpoint_of(args, settings)
    if checkpoint is not None:
        say(f"resumes from {checkpoint.folder}")
    args.model_init_kwargs = {"revision": model.model_revision, "dtype": model.dtype,
                              "attn_implementation": model.attn_implementation, **(args.model_init_kwargs or {})}
    tokenizer = load_tokenizer(model.model_name_or_path, model.model_revision)
    return Run(method, script, args, model, release, tokenizer, settings, checkpoint)


def chosen_by(column: str, value: str) -> Callable[[Dataset], Dataset]:
    """A `keep` for `Run.rows`: the rows whose `column` is `value`; ReleaseError naming the values that there are."""

    def keep(rows: Dataset) -> Dataset:
        counts = Counter(rows[column])
        if not counts[value]:
            raise ReleaseError(f"no row has {column} {value!r}; there are {dict(counts)}: choose with --{column}")
        return rows.filter(lambda entry: entry == value, input_columns=column)

    return keep


@contextmanager
def user_errors(method: str) -> Iterator[None]:
    """A mistake of the user's becomes one message on standard error and exit code 2; a bug keeps its traceback."""
    try:
        yield
    except ReleaseError as error:
        sys.stderr.write(printable(f"stepforge train {method}: {error}") + "\n")
        raise SystemExit(2) from None


def say(message: str) -> None:
    """One line on standard error, from the first process only."""
    if int(os.environ.get("RANK", "0")) == 0:
        sys.stderr.write(message + "\n")
