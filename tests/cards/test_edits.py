"""What people edit in a card on the Hub stays over the versions that follow, and is told; licenses are not guessed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hub_server import Hub
from hub_store import File

from stepforge.builders.release import MANIFEST
from stepforge.cards.dataset_card import make_card
from stepforge.cards.edits import OWN_BEGIN, OWN_END, Card, EditError, Written, merge, own_section, parse_card
from stepforge.cards.publish import publish

TOOL = Card({"pretty_name": "pears", "language": ["en"], "license": "apache-2.0", "tags": ["math", "trl"],
             "configs": [{"config_name": "pairs", "data_files": [{"split": "train", "path": "pairs/train-*"}],
                          "default": True}],
             "dataset_info": [{"config_name": "pairs", "splits": [{"name": "train", "num_examples": 4}]}]},
            "# pears\n\nText of the tool.\n\n```python\nload()\n```\n\nMore of it.", "")


def again(there: Card, ours: Card = TOOL, before: Card = TOOL) -> Card:
    """What the next version holds, and again after the publisher was stopped behind its commit."""
    merged = merge(Written.of(before), there, ours).card
    stopped = merge(Written.of(ours._replace(own=merged.own)), parse_card(merged.text(), "card"), ours).card
    assert stopped.text() == merged.text()
    return merged


def edited(**header: object) -> Card:
    return TOOL._replace(header={**TOOL.header, **header})


def test_without_edits_the_next_card_is_the_tools() -> None:
    ours = TOOL._replace(header=TOOL.header | {"license": "mit", "tags": ["math"]}, body="other")
    merged = merge(Written.of(TOOL), TOOL, ours)
    assert merged.card == ours and merged.notes == []


def test_keys_that_people_added_stay() -> None:
    there = edited(extra_gated_prompt="Agree.\nThen load.", extra_gated_fields={"Country": "country"}, viewer=False)
    assert again(there).header == there.header
    notes = merge(Written.of(TOOL), there, TOOL).notes
    assert [note.split("`")[1] for note in notes] == ["extra_gated_prompt", "extra_gated_fields", "viewer"]


def test_values_that_people_changed_or_removed_stay_and_are_told() -> None:
    there = edited(pretty_name="Pears of Ann", task_categories=["question-answering"])
    del there.header["language"]
    newer = TOOL._replace(header=TOOL.header | {"pretty_name": "pears 2"})
    header = again(there, newer).header
    assert header["pretty_name"] == "Pears of Ann" and "language" not in header
    notes = merge(Written.of(TOOL), there, newer).notes
    assert any('"Pears of Ann", stays; the release would say "pears 2"' in note for note in notes)


def test_tags_of_both_sides_are_kept_and_removed_ones_stay_away() -> None:
    there, newer = edited(tags=["math", "pears"]), TOOL._replace(header=TOOL.header | {"tags": ["math", "trl", "new"]})
    assert again(there, newer).header["tags"] == ["math", "new", "pears"]


def test_a_tag_that_the_tool_drops_is_not_one_of_people() -> None:
    tags = TOOL.header["tags"]
    there, newer = edited(tags=[*tags, "pears"]), TOOL._replace(header=TOOL.header | {"tags": tags[:1]})
    assert len(tags) > 1 and again(there, newer).header["tags"] == [tags[0], "pears"]


@pytest.mark.parametrize(("there", "ours", "stays"), [
    ({"license": "mit"}, {}, {"license": "mit"}),
    ({}, {"license": "mit"}, {"license": "mit"}),
    ({"license": "mit"}, {"license": "mit"}, {"license": "mit"}),
    ({"license": "other", "license_name": "ours", "license_link": "LICENSE"}, {},
     {"license": "other", "license_name": "ours", "license_link": "LICENSE"}),
])
def test_a_license_that_one_side_changed_is_taken(there: dict, ours: dict, stays: dict) -> None:
    newer = TOOL._replace(header=TOOL.header | ours)
    header = again(edited(**there), newer).header
    assert {key: value for key, value in header.items() if key.startswith("license")} == stays


@pytest.mark.parametrize("there", [{"license": "cc-by-4.0"}, {"license": "other", "license_name": "x"}, {}])
def test_a_license_that_both_sides_changed_stops(there: dict) -> None:
    header = {key: value for key, value in TOOL.header.items() if key != "license"} | there
    newer = TOOL._replace(header=TOOL.header | {"license": "mit"})
    with pytest.raises(EditError, match="people set the license .*release.license"):
        merge(Written.of(TOOL), TOOL._replace(header=header), newer)


def test_a_config_of_people_stays_and_what_files_decide_is_the_tools() -> None:
    theirs = {"config_name": "extra", "data_files": "extra.csv"}
    info = [{"config_name": "pairs", "splits": [{"name": "train", "num_examples": 999}]}]
    there = edited(configs=[{**TOOL.header["configs"][0], "drop_labels": True}, theirs], dataset_info=info)
    more = [{"config_name": "pairs", "splits": [{"name": "train", "num_examples": 6}]}]
    header = again(there, TOOL._replace(header=TOOL.header | {"dataset_info": more})).header
    assert header["dataset_info"] == more
    assert header["configs"] == [{**TOOL.header["configs"][0], "drop_labels": True}, theirs]
    assert any("dataset_info.pairs.splits" in note for note in merge(Written.of(TOOL), there, TOOL).notes)


def test_a_config_that_the_release_lost_goes_though_people_edited_it() -> None:
    there = edited(configs=[{**TOOL.header["configs"][0], "description": "theirs"}])
    less = TOOL._replace(header=TOOL.header | {"configs": [], "dataset_info": []})
    assert again(there, less).header["configs"] == []


def test_lines_of_people_in_the_tools_text_move_to_their_section() -> None:
    body = TOOL.body.replace("More of it.", "Mind the pears:\n\n```python\neat()\n```\n\nMore of it.")
    there = parse_card(TOOL._replace(body=f"{body}\n\nLast line of theirs.", own="first").text(), "card")
    newer = TOOL._replace(body="# pears\n\nNew text of the tool.")
    card = again(there, newer)
    assert card.body == newer.body and card.own.startswith("first\n\n")
    assert all(line in card.own for line in ("Mind the pears:", "eat()", "Last line of theirs."))
    assert "Text of the tool" not in card.own


def test_text_behind_the_markers_and_text_without_markers_stay() -> None:
    behind = parse_card(TOOL.text() + "\nBehind.\n", "card")
    bare = parse_card(TOOL._replace(own="kept").text().replace(f"{OWN_BEGIN}\n", "").replace(OWN_END, ""), "card")
    assert again(behind).own == "Behind." and "kept" in again(bare, before=TOOL._replace(own="kept")).own


@pytest.mark.parametrize(("before", "there", "ours", "own"), [
    ("a", "b", "a", "b"), ("a", "a", "c", "c"), ("a", "b", "c", "b\n\nc"), ("", "b", "", "b"), ("", "", "c", "c"),
    ("a", "a", "", "a")])
def test_the_own_section_of_the_side_that_changed_it_stays(before: str, there: str, ours: str, own: str) -> None:
    merged = merge(Written.of(TOOL._replace(own=before)), TOOL._replace(own=there), TOOL._replace(own=ours))
    assert merged.card.own == own


def test_comments_of_the_header_and_line_ends_of_windows_are_read() -> None:
    text = TOOL.text().replace("---\n", "---\n# ask Ann before changing this\n", 1).replace("\n", "\r\n")
    assert again(parse_card(text, "card")) == TOOL._replace(comments="# ask Ann before changing this\n")


@pytest.mark.parametrize(("text", "why"), [
    ("---\na: [1\n---\n", "not valid YAML"), ("---\n- a\n---\n", "must be a mapping"), ("---\na: 1\n", "header"),
    ("---\na: &x [1]\nb: *x\n---\n", "uses YAML aliases"), ("x\n" * 30_000, "")])
def test_a_card_that_cannot_be_merged_stops_with_its_place(text: str, why: str) -> None:
    with pytest.raises(EditError, match=f"{why}.*README.md at hub:org/name|README.md at hub:org/name.*{why}"):
        parse_card(text, "README.md at hub:org/name")


def test_a_header_may_nest_its_values_a_hundred_deep() -> None:
    """In a flow and in blocks; one bracket more would be too deep, and half a million would take hours to read."""
    for deep in (98, 99, 100, 500_000):
        values = f"---\na: {'[' * deep}{']' * deep}\n---\n"
        if deep < 100:
            assert parse_card(values, "card").header.keys() == {"a"}
        else:
            with pytest.raises(EditError, match="the header of card nests its values deeper than 100"):
                parse_card(values, "card")
    lines = "".join(f"{' ' * depth}a:\n" for depth in range(101))
    with pytest.raises(EditError, match="nests its values deeper than 100"):
        parse_card(f"---\n{lines}---\n", "card")


def change(hub: Hub, repo: str, edit: Callable[[str], str]) -> None:
    """A person edits the card on the Hub."""
    head = hub.repos[repo].at("main")
    card = edit(head.files["README.md"].content.decode())
    hub.repos[repo].add("main", head.id, "Update README.md", {**head.files, "README.md": File(card.encode(), False)})


def test_edits_on_the_hub_between_three_versions_are_all_there_in_the_last(
        make_release: Callable[..., Path], hub: Hub, clients) -> None:
    repo, only = "org/edited-by-people", ("positives", "problems")
    gate = "extra_gated_prompt: Say who you are.\nextra_gated_fields:\n  Name: text\n"
    first = make_release("a", range(20), only=only)
    assert "value" in clients.publish(first, f"hub:{repo}", None)
    change(hub, repo, lambda card: card.replace("---\n", f"---\n# of Ann\n{gate}", 1).replace(
        "- math\n", "- math\n- pears\n", 1).replace(f"{OWN_BEGIN}\n", f"{OWN_BEGIN}\nOur thanks.\n"))
    second = clients.publish(make_release("b", range(25), only=only), f"hub:{repo}", None)["value"]
    assert second["version"] == "1.1.0" and any("extra_gated_prompt" in note for note in second["notes"])
    change(hub, repo, lambda card: card.replace("license: apache-2.0", "license: cc-by-4.0").replace(
        "## Use\n", "A word of Bert.\n\n## Use\n").replace("Our thanks.", "Our warm thanks."))
    folder = make_release("c", range(30), only=("positives", "problems", "pairs"))
    assert clients.publish(folder, f"hub:{repo}", None)["value"]["version"] == "1.2.0"
    card = hub.repos[repo].at("v1.2.0").files["README.md"].content.decode()
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["extra_gated_prompt"] == "Say who you are." and header["extra_gated_fields"] == {"Name": "text"}
    assert header["license"] == "cc-by-4.0" and "pears" in header["tags"] and "# of Ann" in card
    assert own_section(card) == "Our warm thanks.\n\nA word of Bert." and "Compared with version 1.1.0" in card
    assert [config["config_name"] for config in header["configs"]] == ["pairs", "positives", "problems"]
    assert clients.publish(folder, f"hub:{repo}", "1.2.0")["value"]["already"]


def test_a_license_changed_on_both_sides_publishes_nothing(make_small: Callable[..., Path], tmp_path: Path) -> None:
    to, card = f"local:{tmp_path / 'out'}", tmp_path / "out/v1.0.0/README.md"
    publish(make_small("a"), to)
    card.write_text(card.read_text().replace("license: apache-2.0", "license: cc-by-4.0"))
    with pytest.raises(EditError, match="license"):
        publish(make_small("b", range(50), license="mit"), to)
    assert not (tmp_path / "out/v1.1.0").exists()


def test_a_card_that_people_wrote_before_the_first_version_stays(make_small: Callable[..., Path], hub: Hub, clients
                                                                 ) -> None:
    repo = "org/begun-by-people"
    clients.publish(make_small("a"), f"hub:{repo}", "1.0.0")
    kept = hub.repos[repo]
    kept.tags.clear()
    text = "---\nlicense: apache-2.0\nextra_gated_prompt: Ask.\n---\n# Our pears\n\nWhat they are for.\n"
    kept.add("main", None, "begin", {"README.md": File(text.encode(), False)})
    assert "value" in clients.publish(make_small("b"), f"hub:{repo}", "2.0.0")
    card = kept.at("v2.0.0").files["README.md"].content.decode()
    assert own_section(card) == "# Our pears\n\nWhat they are for." and "extra_gated_prompt: Ask." in card


def test_keys_written_into_the_folders_card_are_published(make_small: Callable[..., Path], tmp_path: Path) -> None:
    folder, out = make_small(), tmp_path / "out"
    (folder / "README.md").write_text("---\nextra_gated_prompt: Ask.\nlicense_name: old\n---\n")
    publish(folder, f"local:{out}", "1.0.0")
    header = yaml.safe_load((out / "v1.0.0/README.md").read_text().split("---\n")[1])
    assert header["extra_gated_prompt"] == "Ask." and "license_name" not in header
    assert header.items() >= make_card(folder, yaml.safe_load((folder / MANIFEST).read_text())).header.items()


def test_a_key_that_people_removed_stays_away_though_the_folder_still_holds_it(make_small: Callable[..., Path],
                                                                               tmp_path: Path) -> None:
    """The folder's card is a copy of the published one, so it holds what people wrote there before."""
    folder, out = make_small(), tmp_path / "out"
    publish(folder, f"local:{out}", "1.0.0")

    def edit(version: str, old: str, new: str) -> None:
        card = out / version / "README.md"
        card.write_text(card.read_text().replace(old, new, 1))

    edit("v1.0.0", "---\n", "---\nextra_gated_prompt: Ask.\nviewer: false\n")
    publish(folder, f"local:{out}", "1.1.0")
    assert "extra_gated_prompt: Ask." in (before := (folder / "README.md").read_text())
    edit("v1.1.0", "extra_gated_prompt: Ask.\n", "")
    done = publish(folder, f"local:{out}", "1.2.0")
    assert ["extra_gated_prompt" in note for note in done.notes if "stays away" in note] == [True]
    (folder / "README.md").write_text(before)  # as a publisher leaves it that is stopped behind its commit
    assert publish(folder, f"local:{out}", "1.2.0").already
    publish(folder, f"local:{out}", "1.3.0")
    for card in (folder / "README.md", out / "v1.3.0/README.md"):
        assert "extra_gated_prompt" not in card.read_text() and "viewer: false" in card.read_text()


def test_a_card_of_an_older_version_of_the_tool_has_no_edits_but_those_of_people(make_small: Callable[..., Path],
                                                                                 tmp_path: Path) -> None:
    """Manifests did not say what the tool wrote; the card under the tag does."""
    out = tmp_path / "older"
    publish(make_small("a"), f"local:{out}", "1.0.0")
    manifest = yaml.safe_load((out / "v1.0.0" / MANIFEST).read_text())
    del manifest["card"]
    (out / "v1.0.0" / MANIFEST).write_text(json.dumps(manifest))
    done = publish(make_small("b", range(50), pretty_name="Pears"), f"local:{out}")
    assert done.notes == () and "pretty_name: Pears" in (out / "v1.1.0/README.md").read_text()
