"""Resumes a training only with the settings that its checkpoint was trained with.

Every checkpoint holds its settings: TRL's options, those of the script and the model, the rows of the release, the
number of processes. Another learning rate in mid-training would give a model that no record describes, so a setting
that changes what is trained is refused. What does not change it is free (`FREE`). More steps or epochs are allowed
where the learning rate does not depend on their number; the weights are then those of one longer training.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from transformers import Trainer, TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from stepforge.train.release import Release, ReleaseError

STATE = "trainer_state.json"  # written last, so a checkpoint without it is not complete
FREE = re.compile(  # logs, checkpoints, uploads, evaluation, where things are, and how fast and in what memory
    "(logging|log|save|hub|eval|trackio|include|ddp|vllm_server)_.*|do_(train|eval|predict)|.*_token|push_to_hub|"
    "report_to|run_name|project|disable_tqdm|output_dir|dataset|revision|resume_from_checkpoint|"
    "restore_callback_states_from_checkpoint|gradient_checkpointing(_kwargs)?|skip_memory_metrics|use_cpu|"
    "dataloader_(num_workers|pin_memory|persistent_workers|prefetch_factor)|dataset_num_proc|local_rank|"
    "torch_empty_cache_steps|vllm_gpu_memory_utilization|per_device_eval_batch_size|prediction_loss_only|"
    "batch_eval_metrics|enable_jit_checkpoint")
SPANS = ("max_steps", "num_train_epochs")


class TrainedWith(TrainerCallback, ExportableState):
    """Carries the settings into the state that is saved with every checkpoint."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def state(self) -> dict[str, Any]:
        return {"args": {"settings": self.settings}, "attributes": {}}


class Checkpoint(NamedTuple):
    """A complete checkpoint; `step` is the number of its optimizer steps, `last_step` that of its whole training."""

    folder: Path
    step: int
    last_step: int
    settings: dict[str, Any]

    def finished(self, args: Any) -> bool:
        """Whether a training with `args` ends here."""
        if args.max_steps > 0:
            return self.step >= args.max_steps
        return self.step >= self.last_step and bool(args.num_train_epochs == self.settings["num_train_epochs"])

    def load(self, trainer: Trainer) -> None:
        """Put the checkpoint's weights and state into a trainer; ReleaseError where a wrapper shards them."""
        if trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
            raise ReleaseError(f"{self.folder}: the training ended and its model was not saved. It is in this "
                               "checkpoint; copy it from there, or delete the checkpoint to repeat its last steps")
        trainer._load_from_checkpoint(str(self.folder))
        trainer.state = TrainerState.load_from_json(str(self.folder / STATE))


def settings_of(method: str, script: Any, training: Any, model: Any, release: Release) -> dict[str, Any]:
    """What a training is made of, as JSON: every option that changes it, the rows it reads, its processes."""
    options = vars(script) | vars(model) | training.to_dict()
    wanted = {name: value for name, value in options.items() if not FREE.fullmatch(name)}
    path = Path(model.model_name_or_path)
    files = {entry["sha256"] for entry in release.manifest["files"].values()
             if (entry.get("config"), entry.get("split")) == (script.dataset_config, script.train_split)}
    settings = wanted | {"method": method, "processes": training.world_size, "release": release.name,
                         "release_version": release.revision, "release_files": sorted(files),
                         "model_name_or_path": str(path.resolve() if path.exists() else path)}
    return dict(json.loads(json.dumps(settings, default=str)))


def checkpoint_of(args: Any, settings: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint that --resume_from_checkpoint names, or None: the option is not given, or `last` and none exists.

    Raises ReleaseError for a checkpoint that is not complete or was trained with other settings.
    """
    asked = args.resume_from_checkpoint
    if not asked:
        return None
    folder = newest(Path(args.output_dir)) if asked in ("last", True, "true") else Path(asked)
    if folder is None:
        return None
    checkpoint = read(folder)
    if changes := changed(checkpoint.settings, settings):
        listed = "".join(f"\n  {name}: {before!r} before, {now!r} now" for name, (before, now) in changes.items())
        raise ReleaseError(
            f"{folder} was trained with other settings, so training cannot resume from it:{listed}\n"
            f"{_more_steps(changes, settings)}To resume, give the earlier settings. To start again, choose another "
            f"--output_dir, or delete the checkpoints in {folder.parent}")
    return checkpoint


def newest(folder: Path) -> Path | None:
    """The complete checkpoint of most steps in a folder."""
    steps = {int(path.parent.name.rpartition("-")[2]): path.parent for path in folder.glob(f"checkpoint-*/{STATE}")
             if re.fullmatch(r"checkpoint-\d+", path.parent.name) and _is_json(path)}
    return steps[max(steps)] if steps else None


def read(folder: Path) -> Checkpoint:
    """A checkpoint with its settings; ReleaseError where it is none, or not one that can be resumed from."""
    if not (folder / STATE).is_file() or not _is_json(folder / STATE):
        raise ReleaseError(f"--resume_from_checkpoint {folder}: no complete checkpoint; give `last`, or a folder "
                           f"OUT/checkpoint-N with a {STATE}")
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    own = state.get("stateful_callbacks", {}).get(TrainedWith.__name__)
    if own is None:
        raise ReleaseError(f"{folder} holds no settings to compare with, so it may be of another training. To start "
                           f"anew, choose another --output_dir, or delete the checkpoints in {folder.parent}")
    if not any([*folder.glob("optimizer*"), *folder.glob("global_step*")]):
        raise ReleaseError(f"{folder} holds no state of the optimizer (--save_only_model); training cannot resume "
                           "from it. To start anew, choose another --output_dir, or delete it")
    return Checkpoint(folder, state["global_step"], state["max_steps"], own["args"]["settings"])


def changed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that differ, as (before, now), without more steps or epochs where those are sound.

    A number of epochs means nothing where a number of steps is given.
    """
    names = sorted(before.keys() | now.keys())
    different: dict[str, tuple[Any, Any]] = {
        name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}
    if before["max_steps"] > 0 and now["max_steps"] > 0:
        different.pop("num_train_epochs", None)
    if constant_rate(now):
        for name in SPANS:
            if name in different and 0 < different[name][0] < different[name][1]:
                del different[name]
    return different


def constant_rate(settings: dict[str, Any]) -> bool:
    """Whether the learning rate of a step is the same however many steps follow."""
    scheduler, warmup = settings["lr_scheduler_type"], settings.get("warmup_steps") or 0
    relative = 0 < warmup < 1 or bool(settings.get("warmup_ratio"))
    return scheduler == "constant" or (scheduler == "constant_with_warmup" and not relative)


def _more_steps(changes: dict[str, tuple[Any, Any]], settings: dict[str, Any]) -> str:
    if constant_rate(settings) or not set(SPANS) & changes.keys():
        return ""
    return (f"More steps are allowed under a constant learning rate alone; {settings['lr_scheduler_type']!r} sets the "
            "rate of every step by their number. ")


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
