"""The license of a model, from its card: in the model's folder, or on the Hub.

In: a model as a recipe names it. Out: the license's name as the Hub writes it, or null where nothing says it. The Hub
is asked once for each model, for a few seconds; a run does not wait for it, nor fail without it.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx2
import yaml
from huggingface_hub import HfApi, ModelCardData
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.repocard import RepoCard

from stepforge.pipelines.inference.models import SHIPPED, model_path

OWN_LICENSE = "apache-2.0"  # of the shipped model, as of the package
WAIT_S = 5.0
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@lru_cache(maxsize=64)
def license_of(model: str, revision: str | None = None) -> str | None:
    """The license of a model; null where it has no card, the card names none, or the Hub is out of reach."""
    path = Path(model_path(model))
    if path == Path(SHIPPED):
        return OWN_LICENSE
    if path.is_dir():
        return _in_folder(path)
    return _on_the_hub(model, revision) if _HUB_ID.fullmatch(model) else None


def _in_folder(folder: Path) -> str | None:
    try:
        return _named(RepoCard.load(folder / "README.md", ignore_metadata_errors=True).data.to_dict())
    except (OSError, ValueError, TypeError, yaml.YAMLError):
        return None


def _on_the_hub(model: str, revision: str | None) -> str | None:
    try:
        card: ModelCardData | None = HfApi().model_info(model, revision=revision, timeout=WAIT_S).card_data
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError):
        return None
    return _named(card.to_dict()) if card else None


def _named(card: dict[str, Any]) -> str | None:
    """The license that a card names; where the Hub has no name for it, the card's own."""
    name = card.get("license")
    if name == "other":
        name = card.get("license_name") or name
    return str(name)[:100] if isinstance(name, str) and name else None
