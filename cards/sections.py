"""What the sections of a dataset card show, worked out of the manifest: tables of cells, sentences, programs.

In go the manifest, the configs (schema and a sample row of each, read from the Parquet files) and the plots; out comes
the context of `templates/dataset_card.md.jinja`. Nothing here is Markdown but what `cards/markdown.py` made.
"""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from stepforge.builders.configs import CONFIGS
from stepforge.builders.release import SPLITS
from stepforge.cards import measured
from stepforge.cards.markdown import Safe, code, escape, excerpt, lines, number
from stepforge.cards.model_licenses import terms_of
from stepforge.cards.snippets import snippets

HUB = "https://huggingface.co/datasets"
TEXTS = ("prompt", "completion", "chosen", "rejected")
RECORDED = "recorded"  # the engine of samples that came from files
PLOTS = {"assets/coverage.png": "Coverage at k: the share of problems solved by at least one of k samples",
         "assets/first_pit.png": "Where the first pit of an incorrect solution lies",
         "assets/advantages.png": "Advantages of the steps"}
_PLACES = {"before": "before the pit of an incorrect solution", "pit": "at the pit", "behind": "behind the pit",
           "reached": "of an incorrect one without a pit, to the last step from which a rollout reached the answer",
           "unreached": "of such a one, behind that step", "correct": "in a correct solution"}


class ShownConfig(NamedTuple):
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
    def column_lines(self) -> Safe:
        """Its columns with types and sentences, as lines of one cell."""
        return lines(Safe(f"{code(field.name)} {escape(field.type)}: "
                          f"{escape((field.metadata or {}).get(b'doc', b'').decode())}") for field in self.schema)


def title(manifest: dict) -> str:
    return str(manifest.get("pretty_name") or manifest["name"])


def _title(manifest: dict) -> str:
    version = manifest.get("version")
    return f"{title(manifest)} v{version}" if version else title(manifest)


def default_config(manifest: dict) -> str:
    """The config that `load_dataset(repo)` gives: the first by rank that the release has."""
    return by_rank(manifest["configs"])[0]


def by_rank(names: Iterable[str]) -> list[str]:
    """Configs in the order of a card; those that this version does not know come last."""
    ranks = {name: config.rank for name, config in CONFIGS.items()}
    return sorted(names, key=lambda name: (ranks.get(name, len(ranks) + 200), name))


def context(manifest: dict, configs: list[ShownConfig], plots: list[str]) -> dict:
    stages = manifest.get("stages", {})
    sampled = {name for name, config in CONFIGS.items() if config.sampled}
    whole = [row for row in manifest.get("measures", []) if row.get("by", "all") == "all"]
    measures = [row for row in whole if not row["measure"].startswith(measured.FALSE_POSITIVES)
                and not row["measure"].endswith("_histogram")]
    splits = [split for split in SPLITS if split != "validation" or any(config.rows.get(split) for config in configs)]
    return {
        "manifest": _with_defaults(manifest), "title": _title(manifest),
        "plots": [Safe(f"![{PLOTS[path]}]({path})") for path in plots],
        "configs": {config.name: config for config in configs},
        "split_columns": [f"{split} rows" for split in splits],
        "weights": ", ".join(f"{_PLACES.get(place, place)} {number(float(share))}"
                             for place, share in (manifest.get("weights") or {}).items()),
        "config_rows": [[code(config.name), *(number(config.rows.get(split, 0)) for split in splits),
                         Safe(CONFIGS[config.name].purpose if config.name in CONFIGS else ""),
                         _facts((manifest.get("excluded") or {}).get(config.name) or {})]
                        for config in configs],
        "sample_rows": [[code(config.name), lines(Safe(f"**{column}:** {excerpt(config.sample[column])}")
                                                  for column in TEXTS if column in config.sample)]
                        for config in configs if config.name in sampled],
        "snippets": snippets(manifest, default_config(manifest)),
        "generator_rows": [_generator(row) for row in manifest.get("generators", [])],
        "stage_rows": [_stage(name, facts) for name, facts in stages.items()],
        "decontamination": [_contamination(row) for row in (manifest.get("decontamination") or {}).get("found", [])],
        "ledger_rows": [_cost(stage, spent, measured.flops(whole, stage))
                        for stage, spent in manifest.get("ledger", {}).items()],
        "tables": measured.tables(measures, manifest.get("measures", [])),
        "false_positives": measured.false_positives(whole),
        "recorded": Safe(", ".join(code(row["name"]) for row in manifest.get("generators") or ()
                                   if row.get("engine") == RECORDED)),
        "column_rows": [[code(config.name), config.column_lines] for config in configs],
        "change_rows": [_change(name, change) for name, change in (manifest.get("changes") or {}).items()],
        "limits": [Safe(limit) for limit in limits(manifest)], "citation": _citation(manifest), "facts": _facts,
    }


def limits(manifest: dict) -> list[str]:
    """What a reader must know before relying on the data, as far as the manifest tells."""
    known = ["Language models wrote the solutions. A correct final answer does not mean correct reasoning, and the "
             "methods above find only a part of the false positives.",
             "Verdicts compare final answers. A solution without a verdict is undecided and is in no training config."]
    words = {terms_of(row.get("license")).word for row in manifest.get("generators") or ()}
    if "forbidden" in words:
        known.append("The license of a model forbids training other models on its output; see the generators.")
    if "unknown" in words:
        known.append("The license of a model is unknown, and with it whether it permits training on the output.")
    if unusable := manifest.get("stages", {}).get("verify", {}).get("facts", {}).get("unusable_golds"):
        known.append(f"{number(unusable)} problems have no usable gold answer; their solutions are undecided.")
    if not (manifest.get("decontamination") or {}).get("found"):
        known.append("The problems were not compared with evaluation sets.")
    if "steps" in manifest["configs"] or "step_pairs" in manifest["configs"]:
        known.append("Step values are Monte-Carlo estimates for one rollout policy. Another policy has other values.")
    known += manifest.get("stages", {}).get("annotate", {}).get("facts", {}).get("search", {}).get("notes", [])
    return known + [f"The config `{name}` was left out: {why}."
                    for name, why in manifest.get("left_out", {}).items() if "/" not in name]


def _license(name: str | None) -> Safe:
    """The license of a model and what it says of training on the output."""
    terms = terms_of(name)
    return Safe(f"{code(name) if name else 'none named'}; {terms.word}: {terms.sentence}")


def _generator(row: dict) -> list[str]:
    return [code(row["name"]), code(row.get("model", "–")), code(row.get("revision") or "–"), row.get("engine", "–"),
            _facts(row.get("sampling") or {}), _license(row.get("license"))]


def _stage(name: str, facts: dict) -> list[str]:
    return [code(name), number(facts.get("rows_in")), number(facts.get("rows_out")),
            _facts(facts.get("dropped") or {}), str(facts.get("version", "–")),
            code(str(facts.get("fingerprint", "–"))[:12])]


def _contamination(row: dict) -> list[str]:
    return [row["evaluation"], number(row["compared"]), row["rule"] or "–", row["outcome"] or "–",
            number(row["problems"])]


def _cost(stage: str, spent: dict, flops: float | None) -> list[str]:
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
    """BibTeX: who published it is the owner of its repository, and the address is that of this version."""
    version, repo = manifest.get("version"), manifest.get("repo")
    key = "".join(c if c.isalnum() else "_" for c in str(manifest["name"]))
    fields = {"title": title(manifest), "author": f"{{{repo.partition('/')[0]}}}" if repo else "",
              "publisher": "Hugging Face" if repo else "", "version": version or "",
              "url": f"{HUB}/{repo}" + (f"/tree/v{version}" if version else "") if repo else ""}
    shown = [f"  {name} = {{{value if name == 'author' else _braceless(value)}}},"
             for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key}{'_v' + version.replace('.', '_') if version else ''},", *shown, "}"])


def _braceless(text: str) -> str:
    return "".join(c for c in text if c not in "{}\\")


def _with_defaults(manifest: dict) -> dict:
    """The manifest with what the template asks for; a release that lacks a part lacks its section."""
    names = ("version", "parent", "changes", "generators", "stages", "verifier", "judge", "packages", "licenses",
             "decontamination")
    whole = {**dict.fromkeys(names), **manifest}
    known = {"prompt_template": None, "prompt_name": "prompt", "engine": None}
    whole["generators"] = [{**known, **row} for row in whole["generators"] or ()]
    return whole

