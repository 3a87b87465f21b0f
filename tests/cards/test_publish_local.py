"""Publishing to a folder: versions beside each other, each whole, none ever changed, `latest` swapped in one step."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stepforge.builders.release import ReleaseError, read_manifest, sha256_file, write_manifest
from stepforge.cards.address import PublishError
from stepforge.cards.check import check_folder
from stepforge.cards.dataset_card import write_card
from stepforge.cards.edits import own_section
from stepforge.cards.plots import draw_plots
from stepforge.cards.publish import publish
from stepforge.cards.semver import VersionError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_versions_stand_beside_each_other_and_latest_points_to_the_newest(make_small: Callable[..., Path],
                                                                          tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(make_small("a"), f"local:{out}", "1.0.0")
    first = contents(out / "v1.0.0")
    done = publish(make_small("b", range(50)), f"local:{out}", "1.1.0")
    assert done.changes["pairs"]["added"] == 10 and not done.already
    assert contents(out / "v1.0.0") == first
    assert (out / "latest").resolve() == (out / "v1.1.0").resolve()
    assert {path.name for path in out.iterdir()} == {"v1.0.0", "v1.1.0", "latest"}
    assert read_manifest(out / "v1.1.0")["parent"] == "1.0.0"
    assert "Compared with version 1.0.0" in (out / "v1.1.0/README.md").read_text()
    assert check_folder(out / "v1.1.0") == []


def test_only_what_the_manifest_lists_is_published(make_release: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_release(only=("positives", "steps"))
    drawn = {f"assets/{path.name}" for path in draw_plots(folder)}
    for stray in ("assets/notes.txt", "report/index.html", "scratch.txt", ".env"):
        (folder / stray).parent.mkdir(exist_ok=True)
        (folder / stray).write_text("not for others")
    publish(folder, f"local:{tmp_path / 'out'}", "1.0.0")
    version = tmp_path / "out/v1.0.0"
    assert set(contents(version)) == {*read_manifest(version)["files"], "stepforge.json"}
    assert drawn and drawn <= set(contents(version))
    assert all(content != b"not for others" for content in contents(version).values())


@pytest.mark.parametrize("link", ["problems/train-00000-of-00001.parquet", "problems", "assets/coverage.png"])
def test_nothing_is_published_through_a_link(make_release: Callable[..., Path], tmp_path: Path, link: str) -> None:
    folder = make_release(only=("positives", "problems"))
    draw_plots(folder)
    elsewhere = tmp_path / "elsewhere"
    (folder / link).rename(elsewhere)
    (folder / link).symlink_to(elsewhere)
    with pytest.raises(ReleaseError, match="is a symbolic link"):
        publish(folder, f"local:{tmp_path / 'out'}", "1.0.0")
    assert not list((tmp_path / "out").glob("v*"))


@pytest.mark.parametrize("path", ["../outside.txt", "/etc/hostname", "positives/../../outside.txt", ""])
def test_a_path_that_leaves_the_folder_is_not_published(make_small: Callable[..., Path], tmp_path: Path, path: str
                                                        ) -> None:
    folder = make_small()
    (tmp_path / "outside.txt").write_text("of this machine")
    manifest = read_manifest(folder)
    digest = sha256_file(tmp_path / "outside.txt")
    manifest["files"][path] = {"sha256": digest, "bytes": 15}
    write_manifest(folder, manifest)
    with pytest.raises(ReleaseError, match="named by its path below the release"):
        publish(folder, f"local:{tmp_path / 'out'}", "1.0.0")


@pytest.mark.parametrize("license", ["mit", "our own"])
def test_publishing_again_changes_nothing(make_small: Callable[..., Path], tmp_path: Path, license: str) -> None:
    folder, out = make_small(license=license), tmp_path / "out"
    first = publish(folder, f"local:{out}", "1.0.0")
    before = contents(out)
    for same in (folder, make_small("same", license=license)):
        again = publish(same, f"local:{out}", "1.0.0")
        assert again.already and not first.already and contents(out) == before


def test_a_version_is_never_replaced_by_other_content(make_small: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(make_small("a", recipe={"limit": 2}), f"local:{out}", "1.0.0")
    before = contents(out)
    with pytest.raises(PublishError, match=r"changed since: `limit` \(2 before, 9 now\).*publish as 1.1.0"):
        publish(make_small("b", range(50), recipe={"limit": 9}), f"local:{out}", "1.0.0")
    assert contents(out) == before


def test_the_version_must_fit_the_change(make_small: Callable[..., Path], tmp_path: Path) -> None:
    to = f"local:{tmp_path / 'out'}"
    publish(make_small("a"), to, "1.0.0")
    more = make_small("b", range(50))
    with pytest.raises(VersionError, match="1.1.0 is the lowest"):
        publish(more, to, "1.0.1")
    assert publish(more, to, "1.0.1", any_version=True).version == "1.0.1"
    with pytest.raises(PublishError, match="higher than 0.9.0"):
        publish(make_small("c", range(60)), to, "0.9.0")


def test_without_a_number_the_change_decides(make_small: Callable[..., Path], tmp_path: Path) -> None:
    to = f"local:{tmp_path / 'out'}"
    versions = [publish(make_small("a"), to).version, publish(make_small("b", range(50)), to).version,
                publish(make_small("c", range(50), without="rule"), to).version]
    assert versions == ["1.0.0", "1.1.0", "2.0.0"]


def test_other_measures_of_the_same_rows_are_a_patch(make_small: Callable[..., Path], tmp_path: Path) -> None:
    """An audit by people changes measures and card, and no row."""
    to = f"local:{tmp_path / 'out'}"
    publish(make_small("a"), to)
    audited = make_small("b", measures=[])
    assert publish(audited, to).version == "1.0.1"
    assert publish(audited, to).already and publish(make_small("a"), to).version == "1.0.2"


def test_a_dry_run_changes_nothing(make_small: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_small()
    before = contents(folder)
    done = publish(folder, f"local:{tmp_path / 'out'}", dry_run=True)
    assert (done.version, done.commit, done.already) == ("1.0.0", None, False) and done.bytes_added > 0
    assert contents(folder) == before and not (tmp_path / "out").exists()


def test_a_changed_data_file_is_not_published(make_small: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_small()
    next((folder / "pairs").iterdir()).write_bytes(b"")
    with pytest.raises(ReleaseError, match="not have the checksum that the manifest lists"):
        publish(folder, f"local:{tmp_path / 'out'}", "1.0.0")


def test_the_own_section_passes_from_version_to_version(make_small: Callable[..., Path], tmp_path: Path) -> None:
    to = f"local:{tmp_path / 'out'}"
    first = make_small("a")
    write_card(first, own="written by hand")
    publish(first, to, "1.0.0")
    (first / "README.md").write_text("edited after it was published")
    publish(first, to, "1.0.0")
    publish(make_small("b", range(50)), to, "1.1.0")
    assert own_section((tmp_path / "out/v1.1.0/README.md").read_text()) == "written by hand"


@pytest.mark.parametrize("to", ["local:", "hub:", "hub:name", "hub:org/name/more", "hub:../x"])
def test_a_target_of_another_form_is_refused(make_small: Callable[..., Path], to: str) -> None:
    with pytest.raises(PublishError, match="hub:ORG/NAME and local:PATH"):
        publish(make_small(), to, "1.0.0")


@pytest.mark.parametrize("to", ["org/name", "releases/demo", "", "s3://x"])
def test_a_target_without_its_kind_is_asked_for_it(make_small: Callable[..., Path], to: str) -> None:
    with pytest.raises(PublishError, match=f"write hub:{to} to publish on the Hub, or local:{to} for a folder"):
        publish(make_small(), to, "1.0.0")


@pytest.mark.slow
def test_two_publishers_of_one_version_one_wins(make_small: Callable[..., Path], tmp_path: Path, clients) -> None:
    out = tmp_path / "out"
    calls = [clients.start("publish", folder=make_small(name, range(n)), to=f"local:{out}", version="1.0.0")
             for name, n in (("a", 40), ("b", 50))]
    results = [call.wait() for call in calls]
    won = [result for result in results if "value" in result]
    lost = [result for result in results if "error" in result]
    assert len(won) == len(lost) == 1 and "v1.0.0 with other content" in lost[0]["message"]
    assert check_folder(out / "v1.0.0") == [] and {path.name for path in out.iterdir()} == {"v1.0.0", "latest"}


@pytest.mark.slow
def test_a_killed_publisher_leaves_old_or_new_and_running_again_finishes(
        make_small: Callable[..., Path], tmp_path: Path, clients) -> None:
    old, new = make_small("a"), make_small("b", range(60))
    draw = random.Random(6)
    for attempt in range(6):
        out = tmp_path / f"out{attempt}"
        publish(old, f"local:{out}", "1.0.0")
        before = contents(out / "v1.0.0")
        call = clients.start("publish", folder=new, to=f"local:{out}", version="1.1.0")
        time.sleep(draw.uniform(0.05, 1.5))
        call.kill()
        assert contents(out / "v1.0.0") == before
        assert not (out / "v1.1.0").exists() or check_folder(out / "v1.1.0") == []
        assert (out / "latest").resolve().name in ("v1.0.0", "v1.1.0")
        assert publish(new, f"local:{out}", "1.1.0").version == "1.1.0"
        assert check_folder(out / "v1.1.0") == [] and (out / "latest").resolve().name == "v1.1.0"
        shutil.rmtree(out)
