"""A release of a stranger's given to every method: one line and exit code 2, and no code of the release runs."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from hub_server import TOKEN, serving  # noqa: E402
from hub_store import File, Repo  # noqa: E402

from stepforge.train import awr, dpo, grpo, kto, prm, sft, step_dpo  # noqa: E402

METHODS = {"sft": (sft, "positives"), "dpo": (dpo, "pairs"), "step_dpo": (step_dpo, "step_pairs"),
           "kto": (kto, "unpaired"), "awr": (awr, "weighted"), "prm": (prm, "stepwise"), "grpo": (grpo, "rl")}
CODE = "from pathlib import Path\nPath('/proc/self/cwd/ran').touch()\n"


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release / "v1.0.0", tmp_path / "copy"))


def agree(folder: Path, config: str) -> None:
    """Let the manifest say what the config's file is now."""
    manifest = json.loads((folder / "stepforge.json").read_text())
    name = f"{config}/train-00000-of-00001.parquet"
    manifest["files"][name] |= {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
                                "bytes": (folder / name).stat().st_size}
    (folder / "stepforge.json").write_text(json.dumps(manifest))


def shard(folder: Path, config: str) -> Path:
    return folder / config / "train-00000-of-00001.parquet"


def malformed(folder: Path, config: str) -> None:
    (folder / "stepforge.json").write_text('{"name": "\\u001b[31mred", "configs": [], "files": {}}')


def no_parquet(folder: Path, config: str) -> None:
    shard(folder, config).write_bytes(b"PAR1 no Parquet")
    agree(folder, config)


def changed_page(folder: Path, config: str) -> None:
    content = bytearray(shard(folder, config).read_bytes())
    content[4:60] = b"\xff" * 56
    shard(folder, config).write_bytes(content)
    agree(folder, config)


def null_prompt(folder: Path, config: str) -> None:
    table = pq.read_table(shard(folder, config))
    prompts = pa.array([None, *table["prompt"].to_pylist()[1:]], pa.string())
    pq.write_table(table.set_column(table.column_names.index("prompt"), "prompt", prompts), shard(folder, config))
    agree(folder, config)


def large(folder: Path, config: str) -> None:
    table = pq.read_table(shard(folder, config))
    pq.write_table(table.take([0] * 200_000), shard(folder, config), compression="zstd")
    agree(folder, config)


SPOILT: dict[Callable[[Path, str], None], str] = {
    malformed: "is not the manifest of a release: configs: Input should be a valid dictionary",
    no_parquet: "it is no Parquet file that can be read|its footer is too large", changed_page: "cannot be read",
    null_prompt: "column 'prompt' is null in 1 rows", large: "it would expand to more than a release holds",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_every_method_refuses_it_in_one_line(method: str, spoil: Callable[[Path, str], None], copy: Path, tiny: Path,
                                             tmp_path: Path, capfd: pytest.CaptureFixture[str],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    module, config = METHODS[method]
    for name in (f"{config}.py", "copy.py", "train.py", "__init__.py"):
        (copy / name).write_text(CODE)
    spoil(copy, config)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        module.main(["--dataset", str(copy), "--model_name_or_path", str(tiny), "--output_dir", str(tmp_path / "o"),
                     "--use_cpu", "--max_steps", "1", "--report_to", "none"])
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith(f"stepforge train {method}")]
    assert ended.value.code == 2 and len(said) == 1 and "\x1b" not in said[0]
    assert any(part in said[0] for part in SPOILT[spoil].split("|")), said
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("method", "column", "value", "says"), [
    ("awr", "weights", [float("nan")], "number that is not finite"),
    ("awr", "weights", [float("inf")], "number that is not finite"),
    ("prm", "values", [float("nan")], "number that is not finite"),
    ("prm", "completions", [None], "hold null 1 times"),
    ("awr", "ends", [None], "hold null 1 times"), ("kto", "label", None, "column 'label' is null in 1 rows"),
    ("grpo", "answer", None, "column 'answer' is null in 1 rows"),
])
def test_values_that_would_poison_a_training_are_refused(method: str, column: str, value: object, says: str,
                                                         copy: Path) -> None:
    from stepforge.train.release import ReleaseError, open_release

    module, config = METHODS[method]
    table = pq.read_table(shard(copy, config))
    odd = pa.array([value, *table[column].to_pylist()[1:]], table.schema.field(column).type)
    pq.write_table(table.set_column(table.column_names.index(column), column, odd), shard(copy, config))
    agree(copy, config)
    with pytest.raises(ReleaseError, match=says):
        open_release(str(copy), None).rows(config, "train", module.COLUMNS)


READ = """
import sys
from stepforge.train.release import ReleaseError, open_release
for repo in sys.argv[1:]:
    try:
        rows = open_release(repo, "v1.0.0").rows("positives", "train", {"prompt": "text"})
        print(len(rows), rows[0]["prompt"].strip())
    except ReleaseError as error:
        print("refused:", str(error).replace("\\n", " "))
"""


def read_from(url: str, home: Path, *repos: str) -> list[str]:
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1",
                   "HF_HOME": str(home)}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run([sys.executable, "-c", READ, *repos], env=environment, capture_output=True, text=True,
                          check=True)
    return done.stdout.splitlines()


def test_of_a_release_on_the_hub_only_the_files_of_its_manifest_are_read(copy: Path, tmp_path: Path) -> None:
    """A card whose header leads `datasets` elsewhere changes nothing, and a changed file is refused."""
    files = {path.relative_to(copy).as_posix(): File(path.read_bytes(), path.suffix == ".parquet")
             for path in copy.rglob("*") if path.is_file()}
    other = b"---\nconfigs:\n- config_name: positives\n  data_files: negatives/*.parquet\n---\n"
    name, instead = "positives/train-00000-of-00001.parquet", files["negatives/train-00000-of-00001.parquet"]
    with serving() as hub:
        hub.repos |= {"org/data": Repo(False), "org/changed": Repo(False)}
        hub.repos["org/data"].add("v1.0.0", None, "first", files | {"README.md": File(other, False)})
        hub.repos["org/changed"].add("v1.0.0", None, "first", files | {name: File(instead.content, True)})
        sound, changed = read_from(hub.url, tmp_path / "home", "org/data", "org/changed")
    assert sound.startswith("24 Add ")
    assert changed.startswith("refused:") and "the file was changed after the release was built" in changed
