"""Writes the model card of a finished training from its record: what was trained, on which version, and how.

In: the record that `Run.record` makes. Out: README.md in the model's folder, with the YAML header that the Hub reads,
and the record itself. Text from elsewhere (names of models and data sets) stands in YAML or in code marks, never as
markup.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from stepforge.builders.terminal import in_line

RECORD = "stepforge_training.json"


def write_card(folder: Path, record: dict[str, Any]) -> Path:
    """Write `folder`/README.md, and `stepforge_training.json` beside it with the whole record; returns the card."""
    whole = json.dumps(record, indent=2, default=str) + "\n"  # default: options that are enumerations
    (folder / RECORD).write_text(whole, encoding="utf-8")
    header: dict[str, Any] = {"library_name": "transformers", "tags": ["stepforge", record["method"]]}
    if not Path(record["base_model"]).exists():  # the Hub wants ids here, not paths
        header["base_model"] = record["base_model"]
    if record["on_hub"]:
        header["datasets"] = [record["dataset"]]
    settings = "\n".join(f"| `{name}` | {_code(value)} |" for name, value in record["settings"].items())
    first, last = _losses(record["log"])
    text = f"""---
{yaml.safe_dump(header, sort_keys=False).strip()}
---

# {record["method"]}: {_summary(record["method"])}

| | |
|---|---|
| base model | {_code(record["base_model"])} |
| dataset | {_code(record["dataset"])}, version `{record["revision"]}`, config `{record["dataset_config"]}` |
| rows trained on | {record["rows"]} |
| optimizer steps | {record["steps"]} on {record["processes"]} process(es) |
| compute | {record["flops"]:.3g} FLOPs, as transformers counts them |
| training loss | {first} at first, {last} at last |

## Settings

| setting | value |
|---|---|
{settings}

## Recipe of the dataset

```json
{json.dumps(record["recipe"], indent=2, ensure_ascii=False).replace("```", "'''")}
```

`stepforge_training.json` beside this card holds the whole record, with the log and the versions of the packages.
"""
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def _code(text: Any) -> str:
    """A name from elsewhere as inline code that it cannot close."""
    return f"`{in_line(text).replace('`', chr(39)).replace('|', '/')}`"


def _summary(method: str) -> str:
    """The first sentence of the method's module."""
    text = import_module(f"stepforge.train.{method}").__doc__ or ""
    return text.partition("\n")[0].rstrip(".")


def _losses(log: list[dict[str, Any]]) -> tuple[str, str]:
    losses = [entry["loss"] for entry in log if "loss" in entry]
    return (f"{losses[0]:.4g}", f"{losses[-1]:.4g}") if losses else ("not logged", "not logged")
