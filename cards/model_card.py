"""The model card of a fine-tune: which release at which version it was trained on, how, and what it then scored.

In go the model's folder and the facts of the training run, out comes its README.md, by the same rules as the dataset
card: everything escaped, the header parsed with the Hub client's own class, the user's own section kept.
"""

from pathlib import Path

import yaml
from huggingface_hub import ModelCard

from stepforge.builders.parquet import replacing
from stepforge.builders.release import ReleaseError
from stepforge.cards.dataset_card import CARD, OWN_BEGIN, OWN_END, own_section
from stepforge.cards.markdown import code, environment
from stepforge.cards.sections import measure_tables

NEEDED = ("name", "method", "base_model", "dataset", "config")
OPTIONAL: dict[str, object] = {"dataset_version": None, "license": None, "seed": None, "settings": {}, "measures": [],
                               "packages": {}}


def write_model_card(folder: Path, facts: dict) -> Path:
    """Write README.md of a fine-tuned model and return its path.

    Args:
        facts: `name`, `method` (sft, dpo, step_dpo and so on), `base_model`, `dataset` (ORG/NAME, or the name of a
            release) and `config`; where known `dataset_version`, `license`, `settings` and `packages` (name to value),
            `measures` (rows of the measures table) and `seed`.

    Raises:
        ReleaseError: a needed fact is missing or an unknown one is given, or the header does not parse.
    """
    missing, unknown = [name for name in NEEDED if name not in facts], sorted(facts.keys() - {*NEEDED, *OPTIONAL})
    if missing or unknown:
        raise ReleaseError(f"facts of a model card: missing {missing}, unknown {unknown}; allowed are {NEEDED} and "
                           f"{tuple(OPTIONAL)}")
    path, whole = folder / CARD, dict(OPTIONAL | facts)
    own = own_section(path.read_text(encoding="utf-8")) if path.is_file() else ""
    body = environment().get_template("model_card.md.jinja").render(
        facts=whole, measures=measure_tables(whole["measures"]),
        settings=[[code(name), code(value)] for name, value in whole["settings"].items()])
    header = yaml.safe_dump(_header(whole), sort_keys=False, allow_unicode=True, width=1000)
    text = f"---\n{header}---\n\n{body.strip()}\n\n{OWN_BEGIN}\n{own}\n{OWN_END}\n"
    try:
        ModelCard(text)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise ReleaseError(f"the header of the model card is not valid: {error}") from error
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _header(facts: dict) -> dict:
    """The Hub links a model to its base and its data by these; a dataset without an owner has no page to link to."""
    header = {"language": ["en"], "license": facts["license"], "library_name": "transformers",
              "pipeline_tag": "text-generation", "base_model": str(facts["base_model"]),
              "datasets": [facts["dataset"]] if "/" in facts["dataset"] else None,
              "tags": ["math", "reasoning", "trl", "stepforge", str(facts["method"])]}
    return {name: value for name, value in header.items() if value}
