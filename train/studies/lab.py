"""What the studies share: a folder in which every run is done once, and the trainers that do it.

In: settings, a folder and a device. A run has a name (arm, size, seed); it trains a model by this package's trainers,
has it solve the held-out problems greedily, and leaves one small file in `results/`, with the error, which problems
were solved, and what it cost. What is there is not done again, so a study can be stopped at any moment and started
again. `settings.json` says what the folder was made with; a folder holds the results of one setting.
"""

import argparse
import base64
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import DPOConfig, SFTConfig, SFTTrainer

from stepforge.builders.errors import UserError
from stepforge.builders.files import replacing
from stepforge.builders.tables import derive_seed
from stepforge.train import awr
from stepforge.train.dpo import PairTrainer, encode_pair
from stepforge.train.studies.sampling import Policy
from stepforge.train.studies.world import TASKS, Task, make_base
from stepforge.train.tokens import encode, labelled, load_tokenizer

Row = dict[str, Any]


@dataclass(frozen=True)
class Training:
    """Training and test settings that all studies share; each study's settings extend them."""

    task: str = "arithmetic"
    test_problems: int = 5050  # of these some 5,030 are distinct
    base_updates: int = 400
    own_base: bool = False           # every seed has a base model of its own; else all share that of seed 0
    epochs: int = 8                  # SFT, RFT and AWR, of their own rows; chosen for SFT and RFT on another seed
    least_updates: int = 16
    batch: int = 32
    sft_rate: float = 5e-4
    dpo_epochs: int = 4
    dpo_rate: float = 1e-4
    beta: float = 1.0
    prefix_rate: float = 0.0         # of shared_prefix pairs; 0 for that of the other pairs
    prefix_beta: float = 0.0         # likewise
    sft_weight: float = 0.0          # of the chosen side's likelihood, beside the preference loss
    length_normalised: bool = False  # log-ratios a token, not a sequence
    double: float = 0.6              # terse_teacher: how often the teacher does two operations in a line
    known: bool = True               # terse_teacher: the base model is right on single lines
    width: int = 64                  # of the base model, and its layers: 0.14 million parameters
    layers: int = 2

    def world(self) -> Task:
        dials = {"double": self.double, "known": self.known} if self.task == "terse_teacher" else {}
        return TASKS[self.task](**dials)


@dataclass
class Lab:
    """Runs of one setting in a folder: `results/` and `models/`."""

    phrases: ClassVar[tuple[str, ...]] = ()  # that the base model's tokenizer knows besides those of its problems
    settings: Any  # a Training, with a study's own settings beside
    out: Path
    device: str

    def __post_init__(self) -> None:
        torch.set_float32_matmul_precision("high")  # TF32 on a GPU that has it; on a CPU the same numbers as before
        self.task = self.settings.world()
        self.out.mkdir(parents=True, exist_ok=True)
        wanted, file = json.loads(json.dumps(asdict(self.settings))), self.out / "settings.json"
        if file.is_file() and json.loads(file.read_text()) != wanted:
            raise UserError(f"{file} holds other settings; give another --out, or the settings of that file")
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2) + "\n")
        self.tests = self.task.draw(self.settings.test_problems, 0, "test")

    def model(self, arm: str, size: int, seed: int) -> Path:
        return self.out / "models" / f"{arm}-{size}-{seed}"

    def base(self, name: str = "base", width: int = 0, layers: int = 0, updates: int = 0, seed: int = 0) -> Path:
        """The model that runs start from, made by the first that asks for it; 0 stands for what the settings say."""
        folder, s = self.out / "models" / name, self.settings
        if not finished(folder):
            make_base(folder, self.task, updates or s.base_updates, seed, self.device, width or s.width,
                      layers or s.layers, phrases=self.phrases)
        return folder

    def done(self, arm: str, size: int, seed: int) -> bool:
        return self._file(arm, size, seed).is_file()

    def _file(self, arm: str, size: int, seed: int) -> Path:
        return self.out / "results" / f"{arm}-{size}-{seed}.json"

    def measure(self, arm: str, size: int, seed: int, train: Callable[[], Path], **more: Any) -> None:
        """Train unless the result is there, solve the test problems, and write both down with `more`."""
        if self.done(arm, size, seed):
            return
        began = time.process_time()
        model = train()
        policy = Policy(model, self.device, self.task.max_tokens)
        texts = policy.complete([row["prompt"] for row in self.tests], 0.0, 0)
        solved = np.array(self.task.correct(self.tests, texts))
        marked = {name: np.array([mark(text.text) for text in texts]) for name, mark in self.task.marks.items()}
        marks = {name: float(there.mean()) for name, there in marked.items()}
        if not solved.all():
            marks |= {f"{name}_of_wrong": float(there[~solved].mean()) for name, there in marked.items()}
        cost = json.loads((model / "cost.json").read_text()) if (model / "cost.json").is_file() else {}
        result = {"arm": arm, "size": size, "seed": seed, "error": 1 - float(solved.mean()), "problems": len(solved),
                  "solved": base64.b64encode(np.packbits(solved).tobytes()).decode(), **marks, **cost, **more,
                  "cpu_seconds": round(time.process_time() - began, 1)}
        with replacing(self._file(arm, size, seed)) as temporary:
            temporary.write_text(json.dumps(result) + "\n")
        say(f"{arm:20} {size:6} seed {seed}: error {result['error']:.3f}, {result['cpu_seconds']:.0f} s of CPU")

    def fit(self, arm: str, start: Path, rows: list[Row], size: int, seed: int, epochs: int | None = None,
            updates: int | None = None) -> Path:
        """Train `arm` on `rows` from the model in `start`; an arm without rows leaves the model as it is.

        `epochs`: other than those of the settings. `updates`: so many, whatever the number of rows.
        """
        if not rows:
            return start
        folder, s = self.model(arm, size, seed), self.settings
        tokenizer = load_tokenizer(str(start))
        kind, config, encoder, more = method(arm.partition("-")[0], tokenizer, s)
        dataset = Dataset.from_list([encoder(row) for row in rows]).remove_columns("length")
        pairs = kind is PairTrainer
        usual, least = (s.dpo_epochs, 1) if pairs else (s.epochs, s.least_updates)
        steps = updates or max(least, (epochs or usual) * len(rows) // s.batch)
        args = config(
            output_dir=str(folder), max_steps=steps, per_device_train_batch_size=s.batch,
            lr_scheduler_type="cosine", warmup_steps=min(20, steps // 5), seed=derive_seed(seed, arm, size) % 2**31,
            max_length=None, bf16=False, gradient_checkpointing=False, use_cpu=self.device == "cpu", report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, adam_beta2=0.98, dataloader_pin_memory=False,
            **more)
        trainer = kind(model=str(start), args=args, train_dataset=dataset, processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.save_model(str(folder))
        tokens = sum(len(row[key]) for row in dataset for key in row if key.endswith("_ids"))
        tokens = tokens * steps * s.batch // len(rows)
        cost = {"rows": len(rows), "updates": steps, "train_tokens": tokens,
                "train_flops": 6 * trainer.model.num_parameters() * tokens,
                "train_loss": trainer.state.log_history[-1]["train_loss"]}
        (folder / "cost.json").write_text(json.dumps(cost) + "\n")
        return folder


def method(arm: str, tokenizer: PreTrainedTokenizerBase, s: Training) -> tuple[type, type, Callable[[Row], Row], Row]:
    """Trainer, its arguments' class, the encoder of a row, and the arguments that are the arm's own.

    An arm whose name begins with dpo, step_dpo or rpo trains on pairs, `awr` and `reinforce` on weights, any other on
    solutions.
    """
    if arm.startswith(("dpo", "step_dpo", "rpo")):
        beside = s.sft_weight or float(arm == "rpo")
        losses = ["sigmoid_norm" if s.length_normalised else "sigmoid", *(["sft"] if beside else [])]
        near = arm == "step_dpo_prefix"
        rate, beta = (s.prefix_rate or s.dpo_rate, s.prefix_beta or s.beta) if near else (s.dpo_rate, s.beta)
        more = {"learning_rate": rate, "beta": beta, "precompute_ref_log_probs": s.dpo_epochs > 1,
                "loss_type": losses, "loss_weights": [1.0, beside][:len(losses)]}
        return PairTrainer, DPOConfig, partial(encode_pair, tokenizer), more
    if arm in ("awr", "reinforce"):
        return awr.WeightedTrainer, SFTConfig, partial(awr.encode_row, tokenizer), {"learning_rate": s.sft_rate / 4}

    def whole(row: Row) -> Row:
        return labelled(encode(tokenizer, row["prompt"], row["completion"], True))

    return SFTTrainer, SFTConfig, whole, {"learning_rate": s.sft_rate}


def teacher(rows: Sequence[Row]) -> list[Row]:
    """The reference solutions of problems, as rows to fine-tune on."""
    return [{"prompt": row["prompt"], "completion": row["solution"]} for row in rows]


def finished(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file()  # saved last


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def load(out: Path) -> tuple[list[Row], dict[tuple[str, int, int], np.ndarray]]:
    """All results of a folder, and of each which test problems it solved; UserError where there is none."""
    results = [json.loads(file.read_text()) for file in sorted((out / "results").glob("*.json"))]
    if not results:
        raise UserError(f"{out} holds no results yet; run the study first, without --report")
    bits = [np.frombuffer(base64.b64decode(row["solved"]), np.uint8) for row in results]
    return results, {(row["arm"], row["size"], row["seed"]): np.unpackbits(packed, count=row["problems"]).astype(bool)
                     for row, packed in zip(results, bits, strict=True)}


def command_line(about: str | None, seeds: Sequence[int] = (0, 1, 2)) -> argparse.ArgumentParser:
    """The options that every study has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of models and results")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(seeds))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, in JSON: sizes=[64,128]")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--report", action="store_true", help="only read the results and report")
    parser.add_argument("--to", type=Path, help="folder to report to (default: --out)")
    return parser


def quietly(name: str, work: Callable[[], None]) -> None:
    """Run a study without the libraries' warnings; exit code 2 and one message for a user's mistake."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        work()
    except UserError as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(2) from None


Chosen = TypeVar("Chosen", bound=Training)


def settings(kind: type[Chosen], given: Sequence[str], preset: Row | None = None, **fixed: Any) -> Chosen:
    """The defaults of `kind`, changed by `key=value`; UserError for an unknown key or a value of another type.

    `preset` changes defaults too, before what is given.
    """
    chosen: Row = dict(preset or {}) | fixed
    for option in given:
        key, _, value = option.partition("=")
        if key not in kind.__dataclass_fields__ or key in fixed:
            allowed = ", ".join(name for name in kind.__dataclass_fields__ if name not in fixed)
            raise UserError(f"--set {option}: allowed keys are {allowed}")
        try:
            chosen[key] = json.loads(value)
        except json.JSONDecodeError as error:
            raise UserError(f"--set {option}: the value is not JSON ({error})") from error
        if isinstance(chosen[key], list):
            chosen[key] = tuple(chosen[key])
        if not isinstance(chosen[key], type(getattr(kind, key)) | int):
            raise UserError(f"--set {option}: needed is a value like {getattr(kind, key)}")
    return kind(**chosen)


def stored(kind: type[Chosen], folder: Path) -> Chosen:
    """The settings that a folder was made with."""
    if not (folder / "settings.json").is_file():
        raise UserError(f"{folder} is not the folder of a study: it has no settings.json")
    written: Row = json.loads((folder / "settings.json").read_text())
    values: Row = {key: tuple(value) if isinstance(value, list) else value for key, value in written.items()}
    return kind(**values)
