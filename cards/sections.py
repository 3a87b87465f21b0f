"""What the sections of a dataset card show, worked out of the manifest: tables of cells, sentences, programs.

In go the manifest, the configs (schema and a sample row of each, read from the Parquet files) and the plots; out comes
the context of `templates/dataset_card.md.jinja`. Nothing here is Markdown but what `cards/markdown.py` made.
"""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from stepforge.builders.configs import CONFIGS
from stepforge.builders.release import SPLITS
from stepforge.cards.markdown import Safe, code, number
from stepforge.cards.snippets import snippets

TEXTS = ("prompt", "completion", "chosen", "rejected")
PLOTS = {"assets/coverage.png": "Coverage at k: the share of problems solved by at least one of k samples",
         "assets/first_pit.png": "Where the first pit of an incorrect solution lies",
         "assets/advantages.png": "Advantages of the steps"}
_JUDGED = {"false_equation_rate": "equations that are false (a lower bound)"}  # measure to the method that it names
_PLACES = {"before": "before the pit of an incorrect solution", "pit": "at the pit", "behind": "behind the pit",
           "reached": "of an incorrect one without a pit, to the last step from which a rollout reached the answer",
           "unreached": "of such a one, behind that step", "correct": "in a correct solution"}
_FALSE_POSITIVES = ("false_positive", *_JUDGED)


class Config(NamedTuple):
    """One config as the card shows it; `sample` holds its first row as text."""

    name: str
    rows: dict[str, int]
    schema: pa.Schema
    sample: dict[str, str]

    @property
    def filled(self) -> list[str]:
        """The splits that have rows; the others have no file."""
        return [split for split, rows in self.rows.items() if rows]

    @property
    def column_rows(self) -> list[list[str]]:
        return [[code(field.name), code(field.type), (field.metadata or {}).get(b"doc", b"").decode()]
                for field in self.schema]


def title(manifest: dict) -> str:
    return str(manifest.get("pretty_name") or manifest["name"])


def default_config(manifest: dict) -> str:
    """The config that `load_dataset(repo)` gives: the first by rank that the release has."""
    return by_rank(manifest["configs"])[0]


def by_rank(names: Iterable[str]) -> list[str]:
    """Configs in the order of a card; those that this version does not know come last."""
    ranks = {name: config.rank for name, config in CONFIGS.items()}
    return sorted(names, key=lambda name: (ranks.get(name, len(ranks) + 200), name))


def context(manifest: dict, configs: list[Config], plots: list[str]) -> dict:
    stages = manifest.get("stages", {})
    sampled = {name for name, config in CONFIGS.items() if config.sampled}
    whole = [row for row in manifest.get("measures", []) if row.get("by", "all") == "all"]
    measures = [row for row in whole
                if not row["measure"].startswith(_FALSE_POSITIVES) and not row["measure"].endswith("_histogram")]
    splits = [split for split in SPLITS if split != "validation" or any(config.rows.get(split) for config in configs)]
    return {
        "manifest": _with_defaults(manifest), "name": title(manifest),
        "plots": [Safe(f"![{PLOTS[path]}]({path})") for path in plots],
        "configs": {config.name: config for config in configs},
        "split_columns": [f"{split} rows" for split in splits],
        "excluded_rows": [[code(name), _facts(reasons)] for name, reasons in
                          (manifest.get("excluded") or {}).items()],
        "weight_rows": [[_PLACES.get(place, place), number(float(share))]
                        for place, share in (manifest.get("weights") or {}).items()],
        "config_rows": [[code(config.name), *(number(config.rows.get(split, 0)) for split in splits),
                         Safe(CONFIGS[config.name].purpose if config.name in CONFIGS else "")]
                        for config in configs],
        "samples": {Safe(config.name): {column: config.sample[column] for column in TEXTS if column in config.sample}
                    for config in configs if config.name in sampled},
        "snippets": snippets(manifest, default_config(manifest)),
        "generator_rows": [_generator(row) for row in manifest.get("generators", [])],
        "stage_rows": [_stage(name, facts) for name, facts in stages.items()],
        "decontamination": [_contamination(row) for row in (manifest.get("decontamination") or {}).get("found", [])],
        "ledger_rows": [_cost(stage, spent) for stage, spent in manifest.get("ledger", {}).items()],
        "measures": measure_tables(measures), "group_measures": group_tables(manifest.get("measures", [])),
        "false_positives": _false_positives(whole),
        "change_rows": [_change(name, change) for name, change in (manifest.get("changes") or {}).items()],
        "limits": [Safe(limit) for limit in limits(manifest)], "citation": _citation(manifest), "facts": _facts,
    }


def limits(manifest: dict) -> list[str]:
    """What a reader must know before relying on the data, as far as the manifest tells."""
    known = ["Solutions were written by language models. A correct final answer does not mean correct reasoning; the "
             "share of false positives is known only as far as the methods named above can see it.",
             "Verdicts compare final answers. Where no verdict could be given, a solution is marked undecided and "
             "stands in no training config."]
    if unusable := manifest.get("stages", {}).get("verify", {}).get("facts", {}).get("unusable_golds"):
        known.append(f"{number(unusable)} problems have no usable gold answer; their solutions are undecided.")
    if "steps" in manifest["configs"] or "step_pairs" in manifest["configs"]:
        known.append("Values of steps are Monte-Carlo estimates for one rollout policy; another policy has others.")
    known += manifest.get("stages", {}).get("annotate", {}).get("facts", {}).get("search", {}).get("notes", [])
    return known + [f"The config `{name}` was left out: {why}."
                    for name, why in manifest.get("left_out", {}).items() if "/" not in name]


def measure_tables(measures: list[dict]) -> dict[str, list[list[str]]]:
    """Rows of a table for each measure, sorted by generator and k."""
    tables: dict[str, list[list[str]]] = {}
    for row in sorted(measures, key=lambda row: (row["measure"], row["generator"], row.get("k") or 0)):
        tables.setdefault(row["measure"], []).append(
            [row["generator"], number(row.get("k")), _value(row), _interval(row), number(row["n"]),
             number(row.get("excluded"))])
    return tables


def group_tables(measures: list[dict]) -> dict[str, list[list[str]]]:
    """For every grouping of the problems, its rows as in `measure_tables`; histograms are plots."""
    tables: dict[str, list[list[str]]] = {}
    for row in measures:
        if row.get("by", "all") != "all" and not row["measure"].endswith("_histogram"):
            tables.setdefault(row["by"], []).append([
                row["group"], row["generator"], row["measure"].replace("_", " "), number(row.get("k")), _value(row),
                _interval(row), number(row["n"])])
    return tables


def _value(row: dict) -> str:
    """A total is a whole number."""
    return number(int(row["value"]) if row.get("interval") == "none" else row["value"])


def _false_positives(measures: list[dict]) -> list[list[str]]:
    found = [row for row in measures if row["measure"].startswith(_FALSE_POSITIVES)]
    return [[row["generator"], _method(row["measure"]), number(float(row["value"])), _interval(row), number(row["n"])]
            for row in sorted(found, key=lambda row: (row["measure"], row["generator"]))]


def _method(measure: str) -> str:
    if measure in _JUDGED:
        return Safe(_JUDGED[measure])
    return measure.removeprefix("false_positive_rate").replace("_", " ").strip() or "unnamed"


def _interval(row: dict) -> str:
    if row.get("low") is None or row.get("high") is None:
        return "–"
    return f"{number(float(row['low']))} to {number(float(row['high']))}"


def _generator(row: dict) -> list[str]:
    return [code(row["name"]), code(row.get("model", "–")), code(row.get("revision") or "–"), row.get("engine", "–"),
            _facts(row.get("sampling") or {})]


def _stage(name: str, facts: dict) -> list[str]:
    return [code(name), number(facts.get("rows_in")), number(facts.get("rows_out")),
            _facts(facts.get("dropped") or {}), str(facts.get("version", "–")),
            code(str(facts.get("fingerprint", "–"))[:12])]


def _contamination(row: dict) -> list[str]:
    return [row["evaluation"], number(row["compared"]), row["rule"] or "–", row["outcome"] or "–",
            number(row["problems"])]


def _cost(stage: str, spent: dict) -> list[str]:
    flops = spent.get("flops")
    counts = [number(spent.get(key)) for key in ("prompt_tokens", "cached_prompt_tokens", "completion_tokens")]
    return [code(stage), *counts, "–" if flops is None else f"{flops:.3g}"]


def _change(config: str, change: dict) -> list[str]:
    return [code(config), *(number(change[key]) for key in ("added", "removed", "changed")),
            change.get("columns") or "same"]


def _facts(facts: object) -> str:
    """`a 1, b 2` of a dict; anything else as it is."""
    if not isinstance(facts, dict):
        return str(facts)
    return ", ".join(f"{name} {value}" for name, value in facts.items()) or "–"


def _citation(manifest: dict) -> str:
    version = manifest.get("version")
    key = "".join(c if c.isalnum() else "_" for c in str(manifest["name"]))
    lines = [f"@misc{{{key}{'_v' + version.replace('.', '_') if version else ''},",
             f"  title = {{{_braceless(title(manifest))}}},", "  howpublished = {Hugging Face dataset},"]
    if version:
        lines.append(f"  version = {{{version}}},")
    if manifest.get("repo"):
        lines.append(f"  note = {{https://huggingface.co/datasets/{manifest['repo']}}},")
    return "\n".join([*lines, "}"])


def _braceless(text: str) -> str:
    return "".join(c for c in text if c not in "{}\\")


def _with_defaults(manifest: dict) -> dict:
    """The manifest with what the template asks for; a release that lacks a part lacks its section."""
    names = ("version", "parent", "changes", "generators", "stages", "verifier", "judge", "packages", "licenses",
             "decontamination")
    whole = {**dict.fromkeys(names), **manifest}
    known = {"prompt_template": None, "prompt_name": "prompt"}
    whole["generators"] = [{**known, **row} for row in whole["generators"] or ()]
    return whole

