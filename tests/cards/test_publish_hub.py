"""Publishing to a hub with the real clients, in health and in sickness: no fault ever leaves a tag that lies.

The hub is tests/hub_server.py. Every publisher and every reader is a process of its own.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_server import Fault, Hub
from hub_store import File

from stepforge.builders.release import read_manifest
from stepforge.cards.edits import OWN_BEGIN

LOAD = """
import json, sys
from datasets import load_dataset
repo, revision, configs = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
found = {}
for config in configs:
    whole = load_dataset(repo, config, revision=revision)
    stream = load_dataset(repo, config, revision=revision, streaming=True)
    assert {s: list(rows) for s, rows in whole.items()} == {s: list(rows) for s, rows in stream.items()}
    found[config] = {split: list(rows) for split, rows in whole.items()}
print(json.dumps(found))
"""


@pytest.fixture
def repo(request: pytest.FixtureRequest) -> str:
    """A repository's name that no other test uses."""
    return f"org/{hashlib.sha1(request.node.name.encode()).hexdigest()[:12]}"


def assert_sound(hub: Hub, repo: str, old: dict[str, str] | None = None) -> set[str]:
    """Every tag holds what its manifest lists, byte for byte, and an old version is as it was. Returns the tags."""
    kept = hub.repos[repo]
    for tag in kept.tags:
        files = kept.at(tag).files
        manifest = json.loads(files["stepforge.json"].content)
        assert "v" + manifest["version"] == tag
        assert {path: files[path].sha256 for path in manifest["files"]} == \
            {path: facts["sha256"] for path, facts in manifest["files"].items()}
    if old is not None:
        assert checksums(hub, repo, "v1.0.0") == old
    return kept.tags


def checksums(hub: Hub, repo: str, revision: str) -> dict[str, str]:
    return {path: file.sha256 for path, file in hub.repos[repo].at(revision).files.items()}


def commits(hub: Hub, repo: str) -> int:
    return len(hub.repos[repo].commits)


def test_a_fault_that_passes_is_waited_for(make_small: Callable[..., Path], hub: Hub, clients, repo: str) -> None:
    hub.faults = [Fault("POST .*/commit/", status=429, headers={"Retry-After": "1"}),
                  Fault("PUT /lfs/", "cut"), Fault("POST .*/tag/", status=503)]
    done = clients.publish(make_small(), f"hub:{repo}", "1.0.0")
    assert done["value"]["version"] == "1.0.0" and all(fault.seen == 1 for fault in hub.faults)
    assert assert_sound(hub, repo) == {"v1.0.0"} and commits(hub, repo) == 2


@pytest.mark.slow
def test_every_config_loads_at_its_tag_in_a_fresh_process(make_release: Callable[..., Path], hub: Hub, clients,
                                                         repo: str, tmp_path: Path) -> None:
    def load(revision: str, configs: list[str]) -> dict:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / revision)}
        command = [sys.executable, "-c", LOAD, repo, revision, ",".join(configs)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-2000:]
        return json.loads(run.stdout)

    first = make_release("a")
    assert "value" in clients.publish(first, f"hub:{repo}", "1.0.0", private=False)
    old, configs = checksums(hub, repo, "v1.0.0"), list(read_manifest(first)["configs"])
    rows = load("v1.0.0", configs)
    counted = {config: {split: len(members) for split, members in splits.items()} for config, splits in rows.items()}
    assert counted == {config: facts["rows"] for config, facts in read_manifest(first)["configs"].items()}
    done = clients.publish(make_release("b", range(45)), f"hub:{repo}", "1.1.0")
    assert done["value"]["changes"]["pairs"]["added"] == 5
    assert assert_sound(hub, repo, old) == {"v1.0.0", "v1.1.0"}
    assert load("v1.0.0", ["pairs"])["pairs"] == rows["pairs"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [
    Fault("POST /api/repos/create"), Fault("GET .*/refs"), Fault("POST .*/preupload/"), Fault("POST .*/commit/"),
    Fault("POST .*/commit/", status=409), Fault("POST .*/commit/", "lost"), Fault("POST .*/tag/", "lost"),
    Fault("POST .*info/lfs", "cut"), Fault("POST .*/commit/", "cut"), Fault("GET .*/tree/", status=502),
    Fault("GET .*/resolve/", status=500, times=2), Fault("POST /api/validate-yaml"),
], ids=lambda fault: f"{fault.pattern}-{fault.kind}-{fault.status}")
def test_each_fault_that_passes_is_overcome(make_small: Callable[..., Path], hub: Hub, clients, repo: str,
                                            fault: Fault) -> None:
    folder = make_small("a")
    fault.seen = 0
    hub.faults = [fault]
    done = clients.publish(folder, f"hub:{repo}", "1.0.0")
    assert "value" in done, done
    assert fault.seen == fault.times and assert_sound(hub, repo) == {"v1.0.0"} and commits(hub, repo) == 2


@pytest.mark.slow
def test_a_hub_that_stays_down_is_explained_and_a_later_run_finishes(
        make_small: Callable[..., Path], hub: Hub, clients, repo: str) -> None:
    folder = make_small()
    hub.faults = [Fault("POST .*/tag/", status=429, headers={"Retry-After": "0"}, times=99)]
    lost = clients.publish(folder, f"hub:{repo}", "1.0.0")
    assert lost["error"] == "PublishError" and "nothing is partly published" in lost["message"]
    assert assert_sound(hub, repo) == set() and commits(hub, repo) == 2
    hub.faults.clear()
    done = clients.publish(folder, f"hub:{repo}", "1.0.0")
    assert done["value"]["commit"] == hub.repos[repo].refs["v1.0.0"] and commits(hub, repo) == 2


@pytest.mark.slow
def test_a_commit_by_a_second_person_is_built_upon(make_small: Callable[..., Path], hub: Hub, clients,
                                                   repo: str) -> None:
    """Somebody edits the card while we upload: the stale parent is noticed and the edit kept."""
    clients.publish(make_small("a"), f"hub:{repo}", "1.0.0")
    old = checksums(hub, repo, "v1.0.0")

    def edit() -> None:
        kept = hub.repos[repo]
        head = kept.at("main")
        card = head.files["README.md"].content.replace(OWN_BEGIN.encode(), OWN_BEGIN.encode() + b"\nedited there")
        kept.add("main", head.id, "Update README.md", {**head.files, "README.md": File(card, False),
                                                       "notes.md": File(b"theirs", False)})

    hub.faults = [Fault("POST .*/commit/", "call", hook=edit)]
    assert "value" in clients.publish(make_small("b", range(50)), f"hub:{repo}", "1.1.0")
    files = hub.repos[repo].at("v1.1.0").files
    assert b"edited there" in files["README.md"].content and "notes.md" in files
    assert assert_sound(hub, repo, old) == {"v1.0.0", "v1.1.0"}


@pytest.mark.slow
def test_a_tag_that_another_set_in_between_is_never_moved(make_small: Callable[..., Path], hub: Hub, clients,
                                                          repo: str) -> None:
    clients.publish(make_small("a"), f"hub:{repo}", "1.0.0")
    old = checksums(hub, repo, "v1.0.0")

    def tag() -> None:
        hub.repos[repo].refs["v1.1.0"] = hub.repos[repo].refs["v1.0.0"]
        hub.repos[repo].tags.add("v1.1.0")

    hub.faults = [Fault("POST .*/tag/", "call", hook=tag)]
    lost = clients.publish(make_small("b", range(50)), f"hub:{repo}", "1.1.0")
    assert "v1.1.0 with other content" in lost["message"]
    assert checksums(hub, repo, "v1.1.0") == old == checksums(hub, repo, "v1.0.0")


@pytest.mark.slow
def test_of_two_publishers_of_one_version_exactly_one_wins(make_small: Callable[..., Path], hub: Hub, clients,
                                                           repo: str) -> None:
    clients.publish(make_small("old"), f"hub:{repo}", "1.0.0")
    old = checksums(hub, repo, "v1.0.0")
    folders = [make_small("a", range(45)), make_small("b", range(50))]
    calls = [clients.start("publish", folder=folder, to=f"hub:{repo}", version="1.1.0") for folder in folders]
    results = [call.wait() for call in calls]
    won, lost = ([result for result in results if key in result] for key in ("value", "error"))
    assert len(won) == len(lost) == 1, results
    assert "v1.1.0" in lost[0]["message"] and "other content" in lost[0]["message"]
    assert assert_sound(hub, repo, old) == {"v1.0.0", "v1.1.0"}
    assert hub.repos[repo].refs["v1.1.0"] == won[0]["value"]["commit"] == hub.repos[repo].refs["main"]


@pytest.mark.slow
def test_an_unfinished_publication_of_others_is_not_buried_unless_asked(
        make_small: Callable[..., Path], hub: Hub, clients, repo: str) -> None:
    hub.faults = [Fault("POST .*/tag/", status=403, times=1)]
    assert "error" in clients.publish(make_small("a"), f"hub:{repo}", "1.0.0")
    other = make_small("b", range(50))
    assert "--take-over" in clients.publish(other, f"hub:{repo}", "1.0.0")["message"]
    assert clients.publish(other, f"hub:{repo}", "1.0.0", take_over=True)["value"]["version"] == "1.0.0"
    assert assert_sound(hub, repo) == {"v1.0.0"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_twenty_moments_it_is_old_or_new_and_finishes(make_small: Callable[..., Path], hub: Hub,
                                                                clients, repo: str) -> None:
    first, second = make_small("a"), make_small("b", range(60))
    started = time.monotonic()
    clients.publish(first, f"hub:{repo}", "1.0.0")
    usual = time.monotonic() - started
    old = checksums(hub, repo, "v1.0.0")
    start, draw = hub.repos[repo], random.Random(11)
    stages = set()
    for attempt in range(20):
        name = f"{repo}-{attempt}"
        hub.repos[name] = type(start)(False, dict(start.commits), dict(start.refs), set(start.tags))
        hub.stored.clear()
        call = clients.start("publish", folder=second, to=f"hub:{name}", version="1.1.0")
        time.sleep(draw.uniform(0.1, usual))
        call.kill()
        assert_sound(hub, name, old)
        stages.add((commits(hub, name), len(hub.repos[name].tags)))
        if attempt % 4 == 0:
            assert "value" in clients.publish(second, f"hub:{name}", "1.1.0")
            assert assert_sound(hub, name, old) == {"v1.0.0", "v1.1.0"} and commits(hub, name) == 3
    assert len(stages) > 1, "every kill fell into the same stage; the moments are badly chosen"


def test_a_second_pull_request_updates_the_open_one(make_small: Callable[..., Path], hub: Hub, clients, repo: str
                                                    ) -> None:
    first, to = make_small("a"), f"hub:{repo}"
    made = [clients.publish(first, to, None, pr=True)["value"]["pull_request"] for _ in range(2)]
    assert made[0] == made[1] and made[0].endswith("/discussions/1") and commits(hub, repo) == 2
    kept = hub.repos[repo]
    kept.requests[2] = {"title": "Publish v1.0.0", "author": "stranger", "status": "open"}
    kept.refs["refs/pr/2"] = kept.refs["main"]
    head = kept.at("refs/pr/1")
    card = head.files["README.md"].content.replace(OWN_BEGIN.encode(), OWN_BEGIN.encode() + b"\nwritten in review")
    kept.add("refs/pr/1", head.id, "Review", {**head.files, "README.md": File(card, False)})
    less = make_small("b", range(50), change=lambda rows: rows.pop("pairs"))
    again = clients.publish(less, to, "1.2.0", pr=True)["value"]
    assert again["pull_request"] == made[0] and kept.requests[1]["title"] == "Publish v1.2.0"
    assert kept.refs["refs/pr/2"] == kept.refs["main"] and len(kept.requests) == 2
    hub.merge(repo, 1)
    assert "value" in clients.publish(less, to, "1.2.0") and assert_sound(hub, repo) == {"v1.2.0"}
    files = kept.at("v1.2.0").files
    assert b"written in review" in files["README.md"].content
    assert not any(path.startswith("pairs/") for path in files)


@pytest.mark.slow
def test_a_pull_request_is_tagged_after_it_was_merged(make_small: Callable[..., Path], hub: Hub, clients,
                                                      repo: str) -> None:
    folder = make_small()
    done = clients.publish(folder, f"hub:{repo}", "1.0.0", pr=True)["value"]
    assert done["pull_request"].endswith("/discussions/1") and not hub.repos[repo].tags
    hub.merge(repo, 1)
    assert "value" in clients.publish(folder, f"hub:{repo}", "1.0.0")
    assert assert_sound(hub, repo) == {"v1.0.0"} and commits(hub, repo) == 2


def test_a_new_repository_is_private_unless_asked_and_an_old_one_is_never_changed(
        make_small: Callable[..., Path], hub: Hub, clients, repo: str) -> None:
    folder = make_small()
    notes = clients.publish(folder, f"hub:{repo}", None)["value"]["notes"]
    assert hub.repos[repo].private and "new and private" in notes[0]
    assert clients.publish(folder, f"hub:{repo}", None, private=True)["value"]["already"]
    assert "is private, and publishing never changes" in clients.publish(folder, f"hub:{repo}", None,
                                                                         private=False)["message"]
    hub.repos[repo].private = False
    for dry_run in (True, False):
        lost = clients.publish(make_small("b", range(50)), f"hub:{repo}", None, private=True, dry_run=dry_run)
        assert "is public, and publishing never changes that; make it private" in lost["message"]
    assert assert_sound(hub, repo) == {"v1.0.0"} and not hub.repos[repo].private
    assert "value" in clients.publish(folder, f"hub:{repo}-public", None, private=False)
    assert not hub.repos[f"{repo}-public"].private


@pytest.mark.slow
def test_a_dry_run_makes_no_repository_and_a_private_one_is_private(make_small: Callable[..., Path], hub: Hub,
                                                                   clients, repo: str) -> None:
    folder = make_small()
    done = clients.publish(folder, f"hub:{repo}", None, dry_run=True)["value"]
    assert done["version"] == "1.0.0" and repo not in hub.repos
    assert "value" in clients.publish(folder, f"hub:{repo}", None, private=True)
    assert hub.repos[repo].private


@pytest.mark.slow
def test_the_token_stands_in_no_file_log_or_message(make_small: Callable[..., Path], hub: Hub, clients,
                                                    repo: str, token: str) -> None:
    folder = make_small()
    hub.faults = [Fault("POST .*/commit/", status=500), Fault("POST .*/commit/", status=403)]
    call = clients.start("publish", folder=folder, to=f"hub:{repo}", version="1.0.0")
    assert "error" in call.wait()
    clients.publish(folder, f"hub:{repo}", "1.0.0")
    written = [call.log(), call.result.read_text(), *(p.read_text() for p in folder.glob("*.*"))]
    stored = [file.content for file in hub.repos[repo].at("v1.0.0").files.values()]
    assert not any(token in text for text in written) and not any(token.encode() in content for content in stored)
    assert any("pears" in text for text in written)


@pytest.mark.slow
def test_files_of_an_earlier_version_go_and_files_of_others_stay(make_small: Callable[..., Path], hub: Hub,
                                                                clients, repo: str) -> None:
    clients.publish(make_small("a"), f"hub:{repo}", "1.0.0")
    head = hub.repos[repo].at("main")
    hub.repos[repo].add("main", head.id, "Add", {**head.files, "LICENSE": File(b"theirs", False)})
    less = make_small("b", change=lambda rows: rows.pop("pairs"))
    assert clients.publish(less, f"hub:{repo}", None)["value"]["version"] == "2.0.0"
    files = hub.repos[repo].at("v2.0.0").files
    assert "LICENSE" in files and not any(path.startswith("pairs/") for path in files)
