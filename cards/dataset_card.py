"""The dataset card: README.md of a release, made from its manifest and its Parquet files.

In goes a release folder, out comes its README.md: a YAML header that `load_dataset` and the viewer read, and a body
from `templates/dataset_card.md.jinja`. What a user wrote between the two markers of the last section stays when the
card is made again. All other text comes from the manifest and the data, escaped, since models wrote some of it.
"""

from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCard, DatasetCardData

from stepforge.builders.files import replacing
from stepforge.builders.release import ReleaseError, list_files, read_manifest
from stepforge.builders.sources import GENERATED
from stepforge.cards.edits import LICENSE, Card, parse_card
from stepforge.cards.infos import Split, described_configs, info
from stepforge.cards.markdown import clean, environment
from stepforge.cards.sections import PLOTS, ShownConfig, by_rank, context, default_config, title

CARD = "README.md"
TAGS = ["math", "reasoning", "synthetic", "process-supervision", "preference", "trl", "stepforge"]
LICENSES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "bsd-3-clause", "odc-by",
            "odbl", "unlicense", "gpl-3.0", "openrail", "other"}
_SIZES = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]


def write_card(folder: Path, own: str | None = None) -> Path:
    """Write README.md of the release in `folder` and return its path.

    Args:
        own: text for the user's own section; None keeps what the present card holds there.

    Raises:
        ReleaseError: the folder is no finished release, or the header does not parse as a dataset card.
    """
    manifest = read_manifest(folder)
    plain = make_card(folder, manifest)
    card = keep_local(plain, folder)
    text = (card if own is None else card._replace(own=own)).text()
    validate(text, plain)
    with replacing(folder / CARD) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if CARD in manifest["files"]:
        list_files(folder, [CARD])
    return folder / CARD


def keep_local(card: Card, folder: Path) -> Card:
    """`card` with what people wrote into the folder's README: the own section, and keys of the header that are not
    the tool's."""
    if not (folder / CARD).is_file():
        return card
    there = parse_card((folder / CARD).read_text(encoding="utf-8", errors="replace"), str(folder / CARD))
    foreign = {key: value for key, value in there.header.items() if key not in (*card.header, *LICENSE)}
    return card._replace(header=card.header | foreign, own=there.own, comments=there.comments)


def make_card(folder: Path, manifest: dict) -> Card:
    """The tool's own card for `manifest`, which may be newer than the one that lies in `folder`."""
    if not manifest["configs"]:
        raise ReleaseError(f"the release in {folder} has no rows in any config, so there is nothing to describe")
    configs = [_config(folder, name, manifest["configs"][name]["rows"]) for name in by_rank(manifest["configs"])]
    plots = [path for path in PLOTS if path in manifest["files"]]
    body = environment().get_template("dataset_card.md.jinja").render(context(manifest, configs, plots))
    return Card(_header(folder, manifest, configs), body.strip(), "")


def validate(card: str, plain: Card) -> None:
    """Parse the card with the Hub client's own classes and, where people described configs in another way than the
    tool does in `plain`, with the reading of `datasets`; without a network.

    Raises:
        ReleaseError: the header does not parse, or names other configs than it describes.
    """
    try:
        data = DatasetCard(card).data
        ours = data.get("dataset_info") == plain.header["dataset_info"]
        described = {one["config_name"] for one in data["dataset_info"]} if ours else described_configs(data)
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise ReleaseError(f"the header of the card is not valid: {error}") from error
    named = {str(config.get("config_name")) for config in data.to_dict().get("configs") or ()}
    if unnamed := sorted(described - named):
        raise ReleaseError(f"the card describes configs {unnamed} but names {sorted(named)}; it must name them all")


def _config(folder: Path, name: str, rows: dict[str, int]) -> ShownConfig:
    first = sorted((folder / name).glob("*.parquet"), key=lambda path: (not path.name.startswith("train"), path.name))
    with pq.ParquetFile(first[0]) as file:
        row = next(file.iter_batches(batch_size=1)).to_pylist()[0]
        return ShownConfig(name, rows, file.schema_arrow, {key: _as_text(value) for key, value in row.items()})


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else yaml.safe_dump(value, allow_unicode=True).removesuffix("...\n")


def _header(folder: Path, manifest: dict, configs: list[ShownConfig]) -> dict:
    sources = manifest.get("licenses", {})
    origins = {"original" if source in GENERATED else f"extended|{clean(source)}" for source in sources}
    data = DatasetCardData(
        pretty_name=clean(title(manifest)), language=["en"], task_categories=["text-generation"], tags=TAGS,
        size_categories=[size_category(sum(sum(config.rows.values()) for config in configs))],
        source_datasets=sorted(origins) or ["original"], **license_fields(_licenses(manifest)))
    data["configs"] = [_data_files(config, config.name == default_config(manifest)) for config in configs]
    data["dataset_info"] = [_info(folder, manifest, config) for config in sorted(configs, key=attrgetter("name"))]
    header = {key: value for key, value in data.to_dict().items() if value is not None}
    license = {key: header.pop(key) for key in LICENSE if key in header}
    return license | header  # side by side, as a merge with people's edits keeps them


def _data_files(config: ShownConfig, default: bool) -> dict:
    files = [{"split": split, "path": f"{config.name}/{split}-*.parquet"} for split in config.filled]
    return {"config_name": config.name, "data_files": files} | ({"default": True} if default else {})


def _info(folder: Path, manifest: dict, config: ShownConfig) -> dict[str, Any]:
    sizes = {split: sum(_uncompressed(path) for path in (folder / config.name).glob(f"{split}-*.parquet"))
             for split in config.filled}
    stored = sum(file["bytes"] for file in manifest["files"].values() if file.get("config") == config.name)
    return info(config.name, config.schema, [Split(split, size, config.rows[split]) for split, size in sizes.items()],
                stored)


def _uncompressed(path: Path) -> int:
    with pa.memory_map(str(path)) as file:  # else 64 kB of every file are read
        footer = pq.read_metadata(file)
    return sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows, such as `1K<n<10K`; the lower bound belongs to it."""
    index = max(len(str(rows)) - 3, 0)
    if index == 0:
        return f"n<{_SIZES[0]}"
    return f"{_SIZES[index - 1]}<n<{_SIZES[index]}" if index < len(_SIZES) else f"n>{_SIZES[-1]}"


def _licenses(manifest: dict) -> list[str]:
    """The release's own license where the recipe names one, else those of its sources."""
    return [manifest["license"]] if manifest.get("license") else list(manifest.get("licenses", {}).values())


def license_fields(licenses: list[str]) -> dict:
    """The header's license fields, by the Hub's names where it has them for all."""
    names = sorted({clean(str(name)).lower() for name in licenses})
    if names and set(names) <= LICENSES:
        return {"license": names[0] if len(names) == 1 else names}
    return {"license": "other", "license_name": "-".join("-".join(names).split()) or "unknown"}
