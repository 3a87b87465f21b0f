"""A release is read from a folder or a folder of versions; what is wrong with it is one message and exit code 2."""

import json
import shutil
from pathlib import Path

import pytest

from stepforge.train import sft
from stepforge.train.release import Release, ReleaseError, open_release

FILE = "train-00000-of-00001.parquet"
COLUMNS = {"prompt": "text", "completion": "text", "complete": "bool"}


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    """A release of this test's own, to be spoiled."""
    return Path(shutil.copytree(release / "v1.0.0", tmp_path / "copy"))


def test_folder_of_versions_gives_the_version_asked_for(release: Path) -> None:
    for name in (str(release), f"local:{release}"):
        opened = open_release(name, "v1.0.0")
        assert opened.revision == "v1.0.0"
        assert len(opened.rows("positives", "train", COLUMNS)) == 24


def test_folder_of_one_release_needs_no_revision(release: Path) -> None:
    assert open_release(str(release / "v1.0.0"), None).name == "tests"


@pytest.mark.parametrize(("name", "revision", "message"), [
    ("{}", "v2.0.0", "it holds the versions v1.0.0"),
    ("{}", None, "it holds the versions v1.0.0"),
    ("{}/v1.0.0", "v2.0.0", "is version v1.0.0, not v2.0.0"),
    ("{}/nothing", "v1.0.0", "no such folder"),
    ("local:nothing/here", None, "no such folder"),
    ("someone/some-dataset", None, "give --revision"),
])
def test_missing_release_is_explained(release: Path, name: str, revision: str | None, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        open_release(name.format(release), revision)


def test_unknown_config_split_and_column_are_explained(copy: Path) -> None:
    release = open_release(str(copy), None)
    with pytest.raises(ReleaseError, match="no config 'nothing'; it has negatives, pairs"):
        release.rows("nothing", "train", COLUMNS)
    with pytest.raises(ReleaseError, match=r"no config 'rollouts' \(no rows\)"):
        release.rows("rollouts", "train", COLUMNS)
    with pytest.raises(ReleaseError, match="no split 'test'; it has train"):
        release.rows("positives", "test", COLUMNS)
    with pytest.raises(ReleaseError, match="no column 'complete'; there are problem_id"):
        release.rows("unpaired", "train", COLUMNS)
    with pytest.raises(ReleaseError, match="column 'completion' holds text; needed is bool"):
        release.rows("positives", "train", {"completion": "bool"})


def test_the_version_that_was_published_counts_not_the_recipes(copy: Path) -> None:
    manifest = json.loads((copy / "stepforge.json").read_text())
    manifest |= {"version": "1.1.0"}
    manifest["configs"]["positives"]["rows"]["test"] = 0
    (copy / "stepforge.json").write_text(json.dumps(manifest))
    release = open_release(str(copy), "v1.1.0")
    assert release.revision == "v1.1.0"
    with pytest.raises(ReleaseError, match="is version v1.1.0, not v1.0.0"):
        open_release(str(copy), "v1.0.0")
    with pytest.raises(ReleaseError, match="config 'positives' has no rows in its split 'test'"):
        release.rows("positives", "test", COLUMNS)


def test_changed_file_is_refused(copy: Path) -> None:
    shutil.copy(copy / "negatives" / FILE, copy / "positives" / FILE)
    with pytest.raises(ReleaseError, match="the file was changed after the release was built"):
        open_release(str(copy), None).rows("positives", "train", COLUMNS)


def test_missing_file_is_refused_and_a_file_beside_the_manifest_is_not_read(copy: Path) -> None:
    shutil.copy(copy / "positives" / FILE, copy / "positives" / "train-00001-of-00002.parquet")
    assert len(open_release(str(copy), None).rows("positives", "train", COLUMNS)) == 24
    (copy / "positives" / FILE).unlink()
    with pytest.raises(ReleaseError, match="in the manifest but not in the folder"):
        open_release(str(copy), None).rows("positives", "train", COLUMNS)


@pytest.mark.parametrize(("text", "message"), [
    ("{", "is not JSON"),
    ("[]", "is not the manifest of a release: the manifest: Input should be a valid dictionary"),
    (json.dumps({"name": "x", "recipe": {}, "configs": {}, "files": []}), "files: Input should be a valid dictionary"),
])
def test_bad_manifest_is_explained(copy: Path, text: str, message: str) -> None:
    (copy / "stepforge.json").write_text(text)
    with pytest.raises(ReleaseError, match=message):
        open_release(str(copy), None)


def test_hub_rows_need_a_known_config(release: Path) -> None:
    manifest = open_release(str(release), "v1.0.0").manifest
    with pytest.raises(ReleaseError, match="no config 'nothing'"):
        Release("someone/some-dataset", "v1.0.0", None, manifest).rows("nothing", "train", COLUMNS)


@pytest.mark.parametrize(("options", "message"), [
    (["--dataset", "nowhere"], "no such folder"),
    (["--learning_rat", "x"], "--learning_rat"),
    (["--config", "no.yaml"], "no.yaml"),
    (["--max_length", "3"], "longer than --max_length 3"),
    (["--dataset_config", "unpaired"], "no column 'complete'"),
    (["--model_name_or_path", "no/model/here"], "no/model/here"),
])
def test_mistake_on_the_command_line_is_one_message_and_exit_code_2(
    options: list[str], message: str, tiny: Path, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--dataset", str(release), "--revision", "v1.0.0", "--model_name_or_path", str(tiny), "--output_dir",
             str(tmp_path), *options]
    with pytest.raises(SystemExit) as stopped:
        sft.main(given)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
