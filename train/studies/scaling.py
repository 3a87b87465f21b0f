"""The scaling study: how many times the supervised data is each method worth?

    python -m stepforge.train.studies.scaling --task arithmetic --out build/scaling/arithmetic
    python -m stepforge.train.studies.scaling --task arithmetic --out build/scaling/arithmetic --report

For every data size, arm and seed: train on so many unique problems, then solve held-out ones greedily. SFT starts from
the base model that all share; the other arms start from the SFT model of their size and seed, and share its samples,
negatives and step values (collect.py). SFT also runs at sizes beyond the arms', so that a multiplier above 1 can be
read off at all. The trainers are those of this package. Each run leaves one file in --out: what is there is not done
again, and processes with different --seeds may work side by side once the base model is made. `--report` reads the
files and writes report.json and report.svg: errors, power laws, efficiency multipliers with intervals (analysis.py),
tokens and FLOPs.
"""

import argparse
import base64
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedTokenizerBase, PrinterCallback
from transformers.utils.logging import disable_progress_bar
from trl import DPOConfig, SFTConfig, SFTTrainer

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import replacing
from stepforge.builders.tables import derive_seed
from stepforge.train import awr
from stepforge.train.dpo import PairTrainer, encode_pair
from stepforge.train.studies import collect
from stepforge.train.studies.analysis import ArmResult, analyse
from stepforge.train.studies.world import TASKS, Policy, make_base
from stepforge.train.tokens import encode, labelled

ARMS = ("sft", "rft", "dpo_random", "dpo_max_edit", "step_dpo_truncated", "step_dpo_prefix", "awr")
Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """All that decides a result; a folder holds the results of one setting."""

    task: str = "arithmetic"
    sizes: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    sft_sizes: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096, 8192, 16384)
    test_problems: int = 5000
    base_updates: int = 400
    epochs: int = 8              # SFT, RFT and AWR; at least `least_updates`, so that small sizes converge too
    least_updates: int = 100
    batch: int = 32
    sft_rate: float = 1e-3
    dpo_epochs: int = 2
    dpo_rate: float = 1e-4
    beta: float = 0.1
    samples: int = 8             # a problem, from the SFT model, for RFT's positives and for negatives
    temperature: float = 0.7
    own_positives: int = 4       # RFT's, a problem
    negatives: int = 2           # annotated and paired, a problem
    rollouts: int = 4            # a step
    margin: float = 0.25         # q_chosen - q_rejected of a shared_prefix pair
    awr_beta: float = 0.5
    awr_most: float = 3.0


@dataclass
class Study:
    """Runs jobs of one setting in a folder: models, results, and the log of what each cost."""

    settings: Settings
    out: Path
    device: str

    def __post_init__(self) -> None:
        self.task = TASKS[self.settings.task]
        self.out.mkdir(parents=True, exist_ok=True)
        wanted, file = json.loads(json.dumps(asdict(self.settings))), self.out / "settings.json"
        if file.is_file() and json.loads(file.read_text()) != wanted:
            raise UserError(f"{file} holds other settings; give another --out, or the settings of that file")
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2) + "\n")

    def run(self, seeds: list[int], arms: list[str]) -> None:
        base = self.out / "models" / "base"
        if not (base / "tokenizer.json").is_file():
            make_base(base, self.task, self.settings.base_updates, 0, self.device)
        self.tests = self.task.draw(self.settings.test_problems, 0, "test")
        self._measure("base", 0, 0, lambda: base)
        for seed in seeds:
            for size in sorted({*self.settings.sizes, *self.settings.sft_sizes}):
                self._measure("sft", size, seed, partial(self._sft, size, seed))
                todo = [arm for arm in arms if arm != "sft" and not self._file(arm, size, seed).is_file()]
                if size in self.settings.sizes and todo:
                    self._arms(size, seed, todo)

    def _file(self, arm: str, size: int, seed: int) -> Path:
        return self.out / "results" / f"{arm}-{size}-{seed}.json"

    def _measure(self, arm: str, size: int, seed: int, train: Callable[[], Path], more: Row | None = None) -> None:
        """Train unless the result is there, solve the test problems, and write both down."""
        if self._file(arm, size, seed).is_file():
            return
        began = time.monotonic()
        model = train()
        policy = Policy(model, self.device, self.task.max_tokens)
        texts = policy.complete([row["prompt"] for row in self.tests], 0.0, 0)
        solved = np.array(self.task.correct(self.tests, texts))
        cost = json.loads((model / "cost.json").read_text()) if (model / "cost.json").is_file() else {}
        result = {"arm": arm, "size": size, "seed": seed, "error": 1 - float(solved.mean()), "problems": len(solved),
                  "solved": base64.b64encode(np.packbits(solved).tobytes()).decode(), **cost, **(more or {}),
                  "seconds": round(time.monotonic() - began, 1)}
        with replacing(self._file(arm, size, seed)) as temporary:
            temporary.write_text(json.dumps(result) + "\n")
        sys.stderr.write(f"{arm:20} {size:6} seed {seed}: error {result['error']:.3f}, {result['seconds']:.0f} s\n")

    def _sft(self, size: int, seed: int) -> Path:
        rows = [{"prompt": row["prompt"], "completion": row["solution"], "complete": True}
                for row in self.task.draw(size, self._data_seed(seed), "train")]
        return self._train("sft", self.out / "models" / "base", rows, size, seed)

    def _data_seed(self, seed: int) -> int:
        """The sizes of a seed are nested: the problems of a small one are the first of a large one."""
        return derive_seed(seed, "problems")

    def _arms(self, size: int, seed: int, todo: list[str]) -> None:
        """The arms that start from the SFT model of this size and seed, on what it samples itself."""
        s, start = self.settings, self._model("sft", size, seed)
        if not (start / "tokenizer.json").is_file():
            self._sft(size, seed)
        policy = Policy(start, self.device, self.task.max_tokens)
        problems = self.task.draw(size, self._data_seed(seed), "train")
        found = collect.draw(policy, self.task, problems, s.samples, s.temperature, derive_seed(seed, size))
        sampled = policy.generated_tokens
        draws = (s.temperature, derive_seed(seed, size))
        collect.annotate(policy, self.task, found, 1, s.negatives, s.rollouts, *draws)
        valued = policy.generated_tokens
        near = collect.prefix_pairs(policy, self.task, found, s.rollouts, s.margin, *draws)
        rows: dict[str, tuple[list[Row], int]] = {
            "rft": (collect.own_positives(found, s.own_positives), sampled),
            "dpo_random": (collect.response_pairs(found, s.negatives, "random", seed), sampled),
            "dpo_max_edit": (collect.response_pairs(found, s.negatives, "max_edit_distance", seed), sampled),
            "step_dpo_truncated": (collect.truncated_pairs(found, seed), valued),
            "step_dpo_prefix": (near, policy.generated_tokens),
            "awr": (collect.weighted(found, s.awr_beta, s.awr_most), valued)}
        accuracy = float(np.mean(found.base))
        for arm in todo:
            made, tokens = rows[arm]
            base = self.out / "models" / "base" if arm == "rft" else start
            more = {"rows": len(made), "generated_tokens": tokens, "train_accuracy": accuracy}
            self._measure(arm, size, seed, partial(self._train, arm, base, made, size, seed), more)

    def _model(self, arm: str, size: int, seed: int) -> Path:
        return self.out / "models" / f"{arm}-{size}-{seed}"

    def _train(self, arm: str, start: Path, rows: list[Row], size: int, seed: int) -> Path:
        """Train `arm` on `rows` from the model in `start`; an arm without rows leaves the model as it is."""
        if not rows:
            return start
        folder, s = self._model(arm, size, seed), self.settings
        tokenizer = Policy(start, "cpu", 1).tokenizer
        kind, config, encoder, peak, epochs = _method(arm, tokenizer, s)
        dataset = Dataset.from_list([encoder(row) for row in rows]).remove_columns("length")
        steps = max(s.least_updates if kind is not PairTrainer else 1, epochs * len(rows) // s.batch)
        args = config(
            output_dir=str(folder), max_steps=steps, per_device_train_batch_size=s.batch, learning_rate=peak,
            lr_scheduler_type="cosine", warmup_steps=min(20, steps // 5), seed=derive_seed(seed, arm, size) % 2**31,
            max_length=None, bf16=False, gradient_checkpointing=False, use_cpu=self.device == "cpu", report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, adam_beta2=0.98, dataloader_pin_memory=False,
            **({"beta": s.beta, "precompute_ref_log_probs": True} if kind is PairTrainer else {}))
        trainer = kind(model=str(start), args=args, train_dataset=dataset, processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.save_model(str(folder))
        tokens = sum(len(row[key]) for row in dataset for key in row if key.endswith("_ids"))
        tokens = tokens * steps * s.batch // len(rows)
        cost = {"updates": steps, "train_tokens": tokens, "train_flops": 6 * trainer.model.num_parameters() * tokens,
                "train_loss": trainer.state.log_history[-1]["train_loss"]}
        (folder / "cost.json").write_text(json.dumps(cost) + "\n")
        return folder


def _method(
    arm: str, tokenizer: PreTrainedTokenizerBase, s: Settings
) -> tuple[type, type, Callable[[Row], Row], float, int]:
    """Trainer, its arguments, the encoder of a row, peak learning rate and epochs of an arm."""
    if arm in ("sft", "rft"):
        def whole(row: Row) -> Row:
            return labelled(encode(tokenizer, row["prompt"], row["completion"], row["complete"]))

        return SFTTrainer, SFTConfig, whole, s.sft_rate, s.epochs
    if arm == "awr":
        return awr.WeightedTrainer, SFTConfig, partial(awr.encode_row, tokenizer), s.sft_rate / 4, s.epochs
    return PairTrainer, DPOConfig, partial(encode_pair, tokenizer), s.dpo_rate, s.dpo_epochs


def load(out: Path) -> tuple[list[Row], dict[tuple[str, int, int], np.ndarray]]:
    """All results of a folder, and of each which test problems it solved; UserError where there is none."""
    results = [json.loads(file.read_text()) for file in sorted((out / "results").glob("*.json"))]
    if not results:
        raise UserError(f"{out} holds no results yet; run the study first, without --report")
    bits = [np.frombuffer(base64.b64decode(row["solved"]), np.uint8) for row in results]
    return results, {(row["arm"], row["size"], row["seed"]): np.unpackbits(packed, count=row["problems"]).astype(bool)
                     for row, packed in zip(results, bits, strict=True)}


def report(out: Path, resamples: int) -> list[ArmResult]:
    """Analyse a folder; write report.json and report.svg."""
    results, solved = load(out)
    arms = {key: row for key, row in solved.items() if key[0] != "base"}
    found = analyse(arms, seed=0, resamples=resamples)
    runs = [{key: value for key, value in row.items() if key != "solved"} for row in results]
    told = [{"arm": one.arm, "errors": one.errors, "multipliers": {k: str(v) for k, v in one.multipliers.items()},
             "overall": str(one.overall), "interval": [str(one.low), str(one.high)],
             "power_law": one.law and one.law._asdict()} for one in found]
    settings = json.loads((out / "settings.json").read_text())
    with replacing(out / "report.json") as temporary:
        temporary.write_text(json.dumps({"settings": settings, "arms": told, "runs": runs}, indent=1) + "\n")
    plot(found, out / "report.svg")
    return found


def plot(found: list[ArmResult], file: Path) -> None:
    """Error against the number of unique problems, both logarithmic, one line an arm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for one in found:
        axes.plot(list(one.errors), list(one.errors.values()), marker="o", label=f"{one.arm} ({one.overall})")
    axes.set(xscale="log", yscale="log", xlabel="unique problems", ylabel="error on held-out problems (greedy)")
    axes.legend(fontsize="small")
    with replacing(file) as temporary:
        figure.savefig(temporary, format="svg")


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, or report; exit code 2 and one message for a mistake on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, default="arithmetic")
    parser.add_argument("--out", type=Path, required=True, help="folder of models and results")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, in JSON: sizes=[64,128]")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--report", action="store_true", help="only read the results and report")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    args = parser.parse_args(argv)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    disable_progress_bar()
    disable_progress_bars()
    try:
        if not args.report:
            chosen = settings(args.task, args.set)
            Study(chosen, args.out, args.device).run(args.seeds, args.arms)
        for one in report(args.out, args.resamples):
            curve = ", ".join(f"{size}: {error:.3f}" for size, error in one.errors.items())
            sys.stdout.write(f"{one.arm:20} {str(one.overall):>8} ({one.low} to {one.high})   {curve}\n")
    except UserError as error:
        sys.stderr.write(f"scaling: {error}\n")
        raise SystemExit(2) from None


def settings(task: str, given: list[str]) -> Settings:
    """The defaults, changed by `key=value`; UserError for a key that there is not, or a value of another type."""
    found: Row = {}
    for option in given:
        key, _, value = option.partition("=")
        if key not in Settings.__dataclass_fields__ or key == "task":
            raise UserError(f"--set {option}: allowed keys are {', '.join(list(Settings.__dataclass_fields__)[1:])}")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError as error:
            raise UserError(f"--set {option}: the value is not JSON ({error})") from error
        if isinstance(found[key], list):
            found[key] = tuple(found[key])
        if not isinstance(found[key], type(getattr(Settings, key)) | int):
            raise UserError(f"--set {option}: needed is a value like {getattr(Settings, key)}")
    return Settings(task, **found)


if __name__ == "__main__":
    main()
