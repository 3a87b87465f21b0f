"""The card: a header that the clients read, a body in which nothing a model wrote can act, a section that stays."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from stepforge.builders.release import ReleaseError, write_release
from stepforge.cards.dataset_card import license_fields, size_category, write_card
from stepforge.cards.edits import OWN_BEGIN, OWN_END, own_section
from stepforge.cards.sections import limits

HOSTILE = ("```\n</details>\n<script>alert(1)</script>\n[x](javascript:alert(1)) | # h\n"
           f"{OWN_END}\n{OWN_BEGIN}\n{{{{ 7 * 7 }}}} ![i](http://example.invalid/i.png)\n````\n")


def header(card: Path) -> dict:
    return yaml.safe_load(card.read_text(encoding="utf-8").split("---\n")[1])


def test_every_config_loads_from_the_folder_by_the_header(make_release: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_release()
    infos = header(write_card(folder))["dataset_info"]
    rows = {info["config_name"]: {s["name"]: s["num_examples"] for s in info["splits"]} for info in infos}
    for config in ("positives", "step_pairs", "stepwise"):
        loaded = load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))
        assert {split: len(part) for split, part in loaded.items()} == rows[config]


def test_the_header_says_what_the_hub_wants_to_know(make_release: Callable[..., Path]) -> None:
    data = DatasetCard.load(write_card(make_release())).data
    assert data.license == "apache-2.0" and data.language == ["en"] and data.pretty_name == "pears"
    assert data.size_categories == ["n<1K"] and data.source_datasets == ["original"]
    default = [config["config_name"] for config in data.configs if config.get("default")]
    assert default == ["step_pairs"]
    assert {"split": "train", "path": "pairs/train-*.parquet"} in data.configs[1]["data_files"]


def test_the_same_release_gives_the_same_card(make_release: Callable[..., Path]) -> None:
    assert write_card(make_release("a")).read_bytes() == write_card(make_release("b")).read_bytes()


def test_the_users_own_section_survives(make_release: Callable[..., Path]) -> None:
    folder = make_release()
    card = write_card(folder)
    text = card.read_text(encoding="utf-8")
    own = "## Thanks\n\nto *all*, with\n\n\nspace"
    card.write_text(text.replace(f"{OWN_BEGIN}\n", f"{OWN_BEGIN}\n{own}"), encoding="utf-8")
    assert own_section(write_card(folder).read_text(encoding="utf-8")) == own
    assert write_card(folder, own="new").read_text(encoding="utf-8").endswith(f"{OWN_BEGIN}\nnew\n{OWN_END}\n")


def test_the_card_says_how_many_problems_have_no_usable_gold_answer() -> None:
    sentences = limits({"configs": {}, "stages": {"verify": {"facts": {"unusable_golds": 1234}}}})
    assert "1,234 problems have no usable gold answer; their solutions are undecided." in sentences


@pytest.mark.parametrize("card", ["", "no markers", OWN_BEGIN, f"x\n{OWN_END}", f"\n{OWN_END}\n{OWN_BEGIN}\n"])
def test_a_card_without_both_markers_has_no_own_section(card: str) -> None:
    assert own_section(card) == ""


def test_text_of_a_model_stays_text(make_release: Callable[..., Path]) -> None:
    def hostile(rows: dict) -> None:
        for name, column in [("positives", "completion"), ("pairs", "rejected"), ("step_pairs", "prompt")]:
            for row in rows[name]:
                row[column] = HOSTILE

    generator = {"name": "<img src=x>|`", "model": HOSTILE, "prompt_name": HOSTILE, "prompt_template": HOSTILE,
                 "sampling": {HOSTILE: HOSTILE}}
    folder = make_release(change=hostile, generators=[generator], verifier={"a": HOSTILE}, name_shown=HOSTILE,
                          measures=[{"generator": HOSTILE, "measure": HOSTILE, "k": 1, "value": 0.5, "low": None,
                                     "high": None, "n": 1, "excluded": 0}])
    card = write_card(folder, own="mine")
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(card.read_text(encoding="utf-8"))
    assert own_section(card.read_text(encoding="utf-8")) == "mine"
    assert "<script" not in html and "<img src=x" not in html and "href=\"javascript" not in html
    assert "example.invalid/i.png\"" not in html and "49" not in html.split("Known limits")[1].split("Citation")[0]
    assert html.count("<details>") == html.count("</details>") == 4
    assert "&lt;script&gt;" in html


def test_a_long_sample_is_cut_and_says_so(make_release: Callable[..., Path]) -> None:
    def long(rows: dict) -> None:
        for row in rows["pairs"]:
            row["chosen"] = "x" * 5000

    assert "\\[4,400 more characters\\]" in write_card(make_release(change=long)).read_text(encoding="utf-8")


def test_the_card_tells_how_the_data_were_made(make_release: Callable[..., Path]) -> None:
    text = write_card(make_release(left_out={})).read_text(encoding="utf-8")
    for words in ("| `verify` | 10 | 9 | no\\_text 1 |", "0.360 to 0.440", "equations that are false",
                  "Question: {{ problem }}", "| `generate` | 1,000 | 10 | 5,000 |", "first version"):
        assert words in text


def test_the_programs_on_the_card_compile_and_their_loading_runs(make_release: Callable[..., Path]) -> None:
    folder = make_release()
    programs = re.findall(r"```python\n(.*?)```", write_card(folder).read_text(encoding="utf-8"), re.DOTALL)
    assert len(programs) == 3
    names: dict = {}
    for program in programs:
        compile(program, "card", "exec")
        here = program.replace("path/to/this/folder", str(folder))
        for part in here.split("\n\n# "):
            names.pop("rows", None)
            lines = [line for line in part.splitlines() if "trl" not in line and "Trainer(" not in line]
            exec("\n".join(lines if lines[:1] == ["import duckdb"] else [line for line in lines if "=" in line
                                                                        or "import" in line]), names)
            assert "rows" not in names or len(names["rows"]) > 0
    train = len(names["dataset"]["train"])
    assert train > 0 and "chosen" in next(iter(names["stream"]["train"]))
    assert len(names["frame"]) == len(names["table"].fetchall()) == train


def test_the_card_shows_its_version_owner_and_address(make_release: Callable[..., Path]) -> None:
    text = write_card(make_release(version="1.2.0", repo="org/pears")).read_text(encoding="utf-8")
    assert "\n# pears v1.2.0\n" in text
    assert "  author = {{org}},\n" in text
    assert "  url = {https://huggingface.co/datasets/org/pears/tree/v1.2.0},\n" in text
    assert 'scan_parquet("hf://datasets/org/pears@v1.2.0/step_pairs/train-*.parquet")' in text
    assert "FROM 'hf://datasets/org/pears@v1.2.0/step_pairs/train-*.parquet'" in text
    assert "author" not in write_card(make_release("local", version="1.2.0")).read_text(encoding="utf-8")


def test_costs_show_flops_where_a_measure_knows_them(make_release: Callable[..., Path]) -> None:
    known = [{"generator": name, "measure": "generate_flops", "k": None, "value": 1.5e12, "low": None, "high": None,
              "interval": "none", "n": 8, "excluded": 0} for name in ("weak", "strong")]
    assert "| `generate` | 1,000 | 10 | 5,000 | 3e\\+12 |" in write_card(
        make_release("known", measures=known)).read_text(encoding="utf-8")
    assert "| `generate` | 1,000 | 10 | 5,000 | – |" in write_card(make_release("not")).read_text(encoding="utf-8")


def test_a_card_says_which_samples_were_recorded_and_claims_no_prompt_for_them(
        make_release: Callable[..., Path]) -> None:
    generator = {"name": "llama", "engine": "recorded", "model": "llama", "prompt_template": "{{ problem }}"}
    text = write_card(make_release(generators=[generator])).read_text(encoding="utf-8")
    assert "The samples of `llama` were recorded elsewhere" in text and "before samples of `llama`:" in text
    assert "recorded" not in write_card(make_release("own")).read_text(encoding="utf-8").split("## Columns")[0]


def test_a_large_card_has_at_most_250_lines_and_says_what_it_leaves_out(make_release: Callable[..., Path]) -> None:
    wide = [{"generator": name, "by": by, "group": f"group {group}", "measure": measure, "k": k, "value": 0.5,
             "low": 0.4, "high": 0.6, "interval": "problems", "n": 100 - group, "excluded": 0}
            for name in ("weak", "strong") for by, groups in (("all", 1), ("level", 5), ("subject", 100))
            for group in range(groups)
            for measure, ks in (("coverage", range(1, 31)), ("majority", range(1, 31)), ("diversity_text", (1, 30)),
                                ("false_equation_rate", (None,)), ("completion_tokens", (None,)), ("steps", (None,)))
            for k in ks]
    prompt = "\n".join(f"line {number} of a prompt with many examples" for number in range(200))
    generators = [{"name": name, "engine": "vllm", "model": name, "prompt_name": "gsm8k_8shot",
                   "prompt_template": prompt} for name in ("weak", "strong")]
    judge = {"generator": "strong", "votes": 3, "prompt_version": 1, "prompt_template": prompt}
    folder = make_release(chat=True, measures=wide, generators=generators, judge=judge, version="1.1.0", repo="a/b")
    body = write_card(folder).read_text(encoding="utf-8").split("---\n", 2)[2]
    assert len(body.splitlines()) <= 250
    assert "| coverage | weak | 100 | 0.500 \\(0.400 to 0.600\\) |" in body
    assert "| k = 1 | k = 4 | k = 8 | k = 16 | k = 30 |" in body
    assert "195 more rows are in the manifest." in body and "| group 0 | strong |" in body
    assert "more characters]" in body


@pytest.mark.parametrize(("config", "valued"), [("steps", True), ("step_pairs", True), ("positives", False)])
def test_values_of_steps_are_said_to_be_those_of_one_policy(config: str, valued: bool) -> None:
    assert any("for one rollout policy" in limit for limit in limits({"configs": {config: {}}})) is valued


def test_a_published_release_is_loaded_at_its_tag(make_release: Callable[..., Path]) -> None:
    text = write_card(make_release(version="1.2.0", repo="org/pears")).read_text(encoding="utf-8")
    assert 'load_dataset("org/pears", "positives", revision="v1.2.0", split="train")' in text


def test_a_release_without_any_rows_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, {}, {"name": "empty"})
    with pytest.raises(ReleaseError, match="no rows in any config"):
        write_card(tmp_path)


@pytest.mark.parametrize(("rows", "name"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (123_456, "100K<n<1M"),
                                            (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")])
def test_size_categories(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_a_license_that_the_hub_does_not_know_is_named_beside_other() -> None:
    assert license_fields(["MIT"]) == {"license": "mit"}
    assert license_fields(["mit", "apache-2.0"]) == {"license": ["apache-2.0", "mit"]}
    assert license_fields(["our own"]) == {"license": "other", "license_name": "our-own"}


def test_card_tells_what_was_found_in_evaluation_sets(make_release: Callable[..., Path]) -> None:
    assert "were not compared with evaluation sets" in write_card(make_release("a")).read_text(encoding="utf-8")
    facts = [{"evaluation": "gsm8k test", "compared": 1319, "rule": "ngrams", "outcome": "dropped", "problems": 2},
             {"evaluation": "math test", "compared": 500, "rule": None, "outcome": None, "problems": 0}]
    folder = make_release("b", decontamination={"ngram": 8, "overlap": 0.5, "other_numbers": "flag", "found": facts})
    section = write_card(folder).read_text(encoding="utf-8").split("## Decontamination")[1].split("\n## ")[0]
    assert "| gsm8k test | 1,319 | ngrams | dropped | 2 |" in section
    assert "| math test | 500 | – | – | 0 |" in section
