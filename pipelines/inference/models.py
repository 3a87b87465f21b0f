"""Models by name: where their files lie, what identifies their weights, and how many parameters they have."""

import hashlib
import math
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import HfApi
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.file_download import repo_folder_name

from stepforge.builders.errors import UserError

SHIPPED = Path(__file__).parent / "tiny"  # the shipped model; train/studies/tiny_model.py makes it
COMMIT = re.compile(r"[0-9a-f]{40}")


class Parameters(NamedTuple):
    """Parameters of a model, and how many of them compute one token (fewer in a mixture of experts)."""

    total: int
    active: int


def model_path(model: str) -> str:
    """The folder of a model, where it is the shipped one."""
    return str(SHIPPED) if model == "tiny" else model


@lru_cache(maxsize=8)
def load_tokenizer(model: str, revision: str | None = None) -> Any:
    """The tokenizer of a model, on the Hub of a branch, tag or commit.

    Raises:
        ImportError: transformers is not installed.
        OSError, ValueError: it cannot be loaded.
    """
    if model == "tiny":
        from transformers import PreTrainedTokenizerFast  # a fifth of what it takes to import AutoTokenizer

        return PreTrainedTokenizerFast.from_pretrained(SHIPPED)
    from transformers import AutoTokenizer  # slow to import, and not needed by every run

    return AutoTokenizer.from_pretrained(model_path(model), revision=revision or "main")


def model_revision(model: str, revision: str | None = None) -> str:
    """What identifies a model's weights: the hash of its folder's files, or the commit of a model on the Hub.

    Raises:
        UserError: there is no such model, or the Hub cannot be asked and nothing of it is in the cache.
    """
    return folder_revision(model) if _is_path(model) else _commit(model, revision or "main")


def check_exists(model: str) -> None:
    """Errors as for `model_revision`, without reading the weights."""
    if _is_path(model):
        _model_folder(model)
    else:
        _commit(model, "main")


def _is_path(model: str) -> bool:
    path = Path(model_path(model))
    return path.exists() or path.is_absolute()


def _model_folder(model: str) -> Path:
    """Raises UserError where there is no such folder."""
    folder = Path(model_path(model))
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise UserError(f"model {model!r}: allowed is `tiny` or a folder with a model (config.json, *.safetensors, "
                        f"tokenizer.json) or with an adapter (adapter_config.json); {folder} is neither")
    return folder


@lru_cache(maxsize=32)
def folder_revision(model: str) -> str:
    """What identifies a model's weights: the hash of its folder's files.

    Raises:
        UserError: there is no such folder.
    """
    digest = hashlib.sha256()
    for path in sorted(_model_folder(model).glob("*")):
        if path.suffix in (".safetensors", ".json", ".bin", ".model"):
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@lru_cache(maxsize=32)
def _commit(model: str, revision: str) -> str:
    """The commit that a branch or tag points to: as the Hub says, or offline as the cache knows it."""
    if COMMIT.fullmatch(revision):
        return revision
    try:
        return HfApi().model_info(model, revision=revision).sha or revision
    except Exception as error:  # of many libraries, and all mean the same here
        with suppress(OSError, ValueError):  # there is none, or the id is none
            cached = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model") / "refs" / revision
            return cached.read_text(encoding="utf-8").strip()
        raise UserError(f"model {model!r}, revision {revision!r}: neither a folder nor found on the Hub nor in its "
                        f"cache ({type(error).__name__}); give a folder, another id, or a commit as `revision`"
                        ) from error


@lru_cache(maxsize=32)
def model_parameters(model: str, revision: str | None = None) -> Parameters:
    """Parameters of a model, from its config alone: its layers are laid out, but no weight is loaded.

    Raises:
        UserError: the config cannot be read, or transformers is not installed.
    """
    try:
        if Path(model) == SHIPPED:
            return _shipped_parameters()
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM
    except ImportError as error:
        raise UserError(f"the parameters of {model!r} are counted with transformers: pip install "
                        "'stepforge[embedded]', or give `parameters` in the recipe") from error
    try:
        config = AutoConfig.from_pretrained(model, revision=revision)
        with torch.device("meta"):
            laid_out = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"the parameters of {model!r} cannot be counted: {str(error)[:300]}; "
                        "give `parameters` in the recipe") from error
    used = getattr(config, "num_experts_per_tok", None)
    total = active = 0
    for name, weight in laid_out.named_parameters():
        total += weight.numel()
        mixed = ".experts." in name and used is not None  # all experts of a layer lie in one tensor, the first axis
        active += weight.numel() * used // weight.shape[0] if mixed else weight.numel()
    return Parameters(total, active)


def _shipped_parameters() -> Parameters:
    """Those of the tiny model, from its file: the models of transformers take seconds to import."""
    from safetensors import safe_open

    with safe_open(SHIPPED / "model.safetensors", "numpy") as tensors:
        count = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())
    return Parameters(count, count)
