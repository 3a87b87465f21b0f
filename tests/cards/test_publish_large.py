"""A release of many files: read once, in several commits, with little read back, and the next version is its new part.

The hub is tests/hub_server.py, which counts what it sends. Limits are lowered, so that some hundreds of small files
are many; `python tests/benchmarks/publish_many.py` has the real limits and more bytes.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.releases import write_large
from helpers.runs import execute
from hub_server import Fault, Hub
from hub_store import File

from stepforge.builders.manifest import read_manifest
from stepforge.builders.tables import content_id
from stepforge.cards.stored import Stored
from stepforge.cards.upload import Reading
from stepforge.cards.versions import compare
from stepforge.pipelines.inference.journal import shard_of

FILES, ROWS, CHARACTERS = 60, 4, 40_000  # of which a file is 90 kB
SETTINGS = {"upload.MOST_FILES": 25, "readback.SAMPLE_BYTES": 100_000, "readback.SAMPLE_SHARE": 0.0}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A large release, and the next version of it, which has some more rows at its end."""
    folder = tmp_path_factory.mktemp("large")
    return (write_large(folder / "first", FILES, ROWS, CHARACTERS),
            write_large(folder / "second", FILES + 2, ROWS, CHARACTERS))


def size_of(folder: Path) -> int:
    return sum(facts["bytes"] for facts in read_manifest(folder)["files"].values())


def tagged(hub: Hub, repo: str, tag: str, folder: Path) -> None:
    """The tag holds the folder's files, byte for byte, and its manifest lists nothing else."""
    files = hub.repos[repo].at(tag).files
    listed = json.loads(files["stepforge.json"].content)["files"]
    assert {path: files[path].sha256 for path in listed} == {path: facts["sha256"] for path, facts in listed.items()}
    assert {path for path in files if path.endswith(".parquet")} <= set(listed)
    assert all(files[path].content == (folder / path).read_bytes() for path in listed)


def test_a_large_release_is_read_once_and_its_next_version_is_its_new_part(
        releases: tuple[Path, Path], hub: Hub, clients) -> None:
    first, second = releases
    tiny = write_large(first.parent / "tiny", 1, ROWS, CHARACTERS)
    imports = clients.publish(tiny, "hub:org/tiny", "1.0.0", settings=SETTINGS)["value"]["read"]
    repo, sent = "org/large", hub.sent
    done = clients.publish(first, f"hub:{repo}", "1.0.0", settings=SETTINGS)["value"]
    tagged(hub, repo, "v1.0.0", first)
    assert done["files"] > FILES and len(hub.repos[repo].commits) == 1 + -(-(FILES + 2) // 25)
    assert hub.repos[repo].requests[1] == {"title": "Upload v1.0.0", "author": "tester", "status": "merged"}
    assert done["read"] - imports < 1.1 * size_of(first), (done["read"], imports)
    downloads = hub.sent - sent
    assert downloads < 3 * size_of(first) / FILES + 2500 * FILES, "a file to load, one of the sample, lists of names"
    hub.log.clear()
    sent = hub.sent
    done = clients.publish(second, f"hub:{repo}", "1.1.0", settings=SETTINGS)["value"]
    tagged(hub, repo, "v1.1.0", second)
    tagged(hub, repo, "v1.0.0", first)
    assert done["changes"]["positives"] == {"added": 2 * ROWS, "removed": 0, "changed": 0, "columns": "same"}
    uploads = [line for line in hub.log if line.startswith("PUT /lfs/")]
    assert len(uploads) == 2, uploads
    assert done["read"] - imports < 0.1 * size_of(first), (done["read"], imports)


@pytest.mark.slow
def test_of_a_run_in_buckets_the_next_version_sends_and_reads_the_bucket_that_changed(
        hub: Hub, clients, tmp_path: Path) -> None:
    buckets, repo = 6, "org/bucketed"
    draw = random.Random(0)
    problems = [{"problem": f"{n}+{n * n}? {draw.randbytes(40_000).hex()}", "answer": n + n * n} for n in range(30)]
    solutions = [{"problem": row["problem"], "solution": [f"We add both.\nThe answer is {row['answer']}",
                                                          f"We guess.\nThe answer is {row['answer'] + 1}"]}
                 for row in problems]
    recipe = {"name": "r", "problems": [{"source": "files", "paths": [str(tmp_path / "p.jsonl")]}],
              "generators": [{"name": "a", "engine": "recorded", "paths": [str(tmp_path / "s.jsonl")],
                              "columns": {"solutions": "solution"}}],
              "deduplicate": {"near_problems": None}, "executor": {"tasks": 2, "workers": 1, "buckets": buckets},
              "release": {"splits": {"test": 0.2}, "configs": ["positives", "pairs", "problems"], "shards": "buckets"}}
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, problems)))

    def built(name: str) -> Path:
        (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, solutions)))
        execute(recipe, tmp_path / name, "card")
        return tmp_path / name / "release"

    first = built("first")
    solutions[7]["solution"][0] += "."
    second = built("second")
    settings = SETTINGS | {"readback.SAMPLE_BYTES": 0}
    tiny = write_large(tmp_path / "tiny", 1, ROWS, CHARACTERS)
    imports = clients.publish(tiny, "hub:org/none", "1.0.0", settings=settings)["value"]["read"]
    clients.publish(first, f"hub:{repo}", "1.0.0", settings=settings)
    hub.log.clear()
    done = clients.publish(second, f"hub:{repo}", "1.1.0", settings=settings)["value"]
    tagged(hub, repo, "v1.1.0", second)
    old, new = read_manifest(first)["files"], read_manifest(second)["files"]
    changed = {path for path in new if "config" in new[path] and new[path] != old.get(path)}
    bucket = shard_of(content_id("problem", problems[7]["problem"], str(problems[7]["answer"])), buckets)
    assert changed and all(f"-{bucket:05d}-of-{buckets:05d}." in path for path in changed), changed
    sent = {line.split()[1].split("/")[-1].partition("?")[0] for line in hub.log if line.startswith("PUT /lfs/")}
    assert sent == {new[path]["sha256"] for path in [*changed, "assets/measures.parquet"]}
    footers = 2**16 * sum("config" in facts for facts in new.values())
    assert done["read"] - imports < footers + 2 * sum(new[path]["bytes"] for path in changed) < 0.6 * size_of(second)


@pytest.mark.slow
@pytest.mark.parametrize("faults", [
    [Fault("POST .*/commit/", times=1)], [Fault("POST .*/commit/refs", "lost", times=2)],
    [Fault("POST .*/merge", status=503)], [Fault("POST .*/merge", "lost")], [Fault("POST .*/merge", status=409)]],
    ids=lambda faults: f"{faults[0].pattern}-{faults[0].kind}-{faults[0].status}")
def test_a_fault_in_the_middle_of_an_upload_is_overcome(releases: tuple[Path, Path], hub: Hub, clients,
                                                        faults: list[Fault]) -> None:
    repo = f"org/fault-{content_id(faults[0].pattern, faults[0].kind, faults[0].status)[:8]}"
    for fault in faults:
        fault.seen = 0
    hub.faults = faults
    done = clients.publish(releases[0], f"hub:{repo}", "1.0.0", settings=SETTINGS)
    assert "value" in done and all(fault.seen for fault in faults), done
    tagged(hub, repo, "v1.0.0", releases[0])


def test_what_another_upload_left_in_the_request_is_not_merged_and_reviews_are_left_alone(
        releases: tuple[Path, Path], hub: Hub, clients) -> None:
    repo, (first, second) = "org/left", releases
    hub.faults = [Fault("POST .*/commit/refs", status=403)]
    assert "error" in clients.publish(second, f"hub:{repo}", "1.0.0", settings=SETTINGS)
    kept = hub.repos[repo]
    assert [request["status"] for request in kept.requests.values()] == ["open"] and not kept.tags
    kept.requests[2] = {"title": "Publish v1.0.0", "author": "tester", "status": "open"}
    kept.refs["refs/pr/2"] = kept.refs["main"]
    head = kept.at("main")
    kept.add("main", head.id, "Add", {**head.files, "LICENSE": File(b"theirs", False)})
    assert "value" in clients.publish(first, f"hub:{repo}", "1.0.0", settings=SETTINGS)
    tagged(hub, repo, "v1.0.0", first)
    assert [request["status"] for request in kept.requests.values()] == ["merged", "open"]
    assert kept.at("v1.0.0").files["LICENSE"].content == b"theirs"


def test_a_file_that_changed_since_the_build_is_never_tagged(hub: Hub, clients, tmp_path: Path) -> None:
    for to, name in (("hub:org/flipped", "hub"), (f"local:{tmp_path / 'there'}", "local")):
        folder = write_large(tmp_path / name, 3, ROWS, CHARACTERS)
        path = next(folder.glob("positives/*-00001-*.parquet"))
        content = bytearray(path.read_bytes())
        content[1000] ^= 1
        path.write_bytes(content)
        lost = clients.publish(folder, to, "1.0.0")
        assert lost["error"] == "ReleaseError"
        assert f"{path} does not have the checksum that the manifest lists" in lost["message"]
    assert not hub.repos["org/flipped"].tags and len(hub.repos["org/flipped"].commits) == 1
    assert not list((tmp_path / "there").glob("v*"))


def test_of_two_files_with_one_checksum_a_version_with_one_has_one(tmp_path: Path) -> None:
    def stored(*names: str) -> Stored:
        files = {name: {"config": "pairs", "split": "train", "sha256": "a" * 64} for name in names}
        return Stored({"files": files}, lambda paths: tmp_path)

    assert list(stored("x", "y").beside(stored("x"), "pairs")) == ["y"]
    assert stored("x").beside(stored("x", "y"), "pairs") == {}


def test_what_is_read_again_for_an_upload_is_hashed_once(tmp_path: Path) -> None:
    """A client reads a piece again where its first attempt to send it failed."""
    path = tmp_path / "x"
    path.write_bytes(b"abcdef")
    with path.open("rb") as file:
        reading = Reading(path, file, hashlib.sha256(b"abcdef").hexdigest())
        reading.read(4)
        file.seek(0)
        reading.read(3)
        reading.read()
        reading.demand()
        assert Reading(path, file, "0" * 64).demand() is None, "nothing of it was read"


def test_files_in_common_count_as_the_same_rows(releases: tuple[Path, Path], make_release: Callable[..., Path],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """The same counts as a comparison that reads everything."""
    def edit(rows: dict) -> None:
        del rows["positives"][:3]
        rows["positives"][20]["completion"] += "!"
        rows["pairs"].append(dict(rows["pairs"][0]))

    pairs = [releases, releases[::-1], (make_release("a", range(40)), make_release("b", range(45), change=edit)),
             (make_release("c"), make_release("d"))]
    diffs = [compare(*pair) for pair in pairs]
    monkeypatch.setattr("stepforge.cards.stored.Stored.beside", lambda self, other, config: self.files(config))
    assert [compare(*pair) for pair in pairs] == diffs
    assert diffs[0].configs["positives"][:3] == (2 * ROWS, 0, 0) and diffs[1].configs["positives"][:3] == (0, 8, 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_ten_moments_of_an_upload_in_parts_it_is_old_or_new_and_finishes(
        releases: tuple[Path, Path], hub: Hub, clients) -> None:
    first, second = releases
    started = time.monotonic()
    assert "value" in clients.publish(second, "hub:org/killed", "1.0.0", settings=SETTINGS)
    usual, draw, stages = time.monotonic() - started, random.Random(3), set()
    for attempt in range(10):
        repo = f"org/killed-{attempt}"
        hub.stored.clear()
        call = clients.start("publish", folder=first, to=f"hub:{repo}", version="1.0.0", settings=SETTINGS)
        time.sleep(draw.uniform(0.1, usual))
        call.kill()
        if kept := hub.repos.get(repo):
            stages.add((len(kept.commits), len(kept.tags)))
            if kept.tags:
                tagged(hub, repo, "v1.0.0", first)
        if attempt % 3 == 0:
            assert "value" in clients.publish(first, f"hub:{repo}", "1.0.0", settings=SETTINGS)
            tagged(hub, repo, "v1.0.0", first)
    assert len(stages) > 1, "every kill fell into the same stage; the moments are badly chosen"
