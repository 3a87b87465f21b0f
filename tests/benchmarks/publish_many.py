"""Publish a release of many files, then its next version: `make bench NAME=publish_many`.

2,000 files of 2.5 MB (`--files`, `--megabytes`), most of it one repeated byte, go to the Hub of the tests on this
machine, with the limits that the product has; in the next version one file is another. Then a second repository takes
the first version from publishers that are killed at 20 moments (`--kills`), one after another. Printed are bytes that
the publisher read from files and bytes that the Hub sent, over bytes of the release, commits, uploads, the largest
memory of the publisher, and seconds. Writes build/bench/publish_many.json.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "cards")]

from conftest import Clients  # noqa: E402
from helpers.releases import write_large  # noqa: E402
from hub_server import Hub, serving  # noqa: E402

from stepforge.builders.manifest import MANIFEST, read_manifest  # noqa: E402
from stepforge.builders.release import manifest_bytes, sha256_file  # noqa: E402

ROWS, CHARACTERS, REPO, KILLED = 4, 64, "org/many", "org/killed"


def grow(folder: Path, paths: list[str], size: int, letter: str = "0") -> None:
    """Fill the rows of files with a letter up to about `size` bytes each, uncompressed, and list them so."""
    manifest = read_manifest(folder)
    for name in paths:
        table, path = pq.read_table(folder / name), folder / name
        texts = [text + letter * (size // ROWS) for text in table["completion"].to_pylist()]
        column = table.schema.get_field_index("completion")
        path.unlink()
        pq.write_table(table.set_column(column, table.schema.field(column), pa.array(texts)), path,
                       compression="none", use_dictionary=False)
        manifest["files"][name] |= {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    (folder / MANIFEST).write_bytes(manifest_bytes(manifest))


def data_files(folder: Path) -> list[str]:
    return sorted(name for name in read_manifest(folder)["files"] if name.endswith(".parquet"))


def next_version(folder: Path, to: Path, size: int) -> Path:
    """The release with another second file; the other files are the same ones."""
    for path in folder.rglob("*"):
        if path.is_file():
            linked = to / path.relative_to(folder)
            linked.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, linked)
    for path in to.glob("*.*"):  # the card and the manifest, which publishing writes
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    grow(to, data_files(to)[1:2], size, "1")
    return to


def publish(clients: Clients, hub: Hub, folder: Path, version: str, imports: int, repo: str = REPO) -> dict[str, Any]:
    size = sum(facts["bytes"] for facts in read_manifest(folder)["files"].values())
    sent, commits, started = hub.sent, len(hub.repos[repo].commits) if repo in hub.repos else 1, time.monotonic()
    hub.log.clear()
    done = clients.publish(folder, f"hub:{repo}", version)
    if "value" not in done:
        raise SystemExit(f"v{version} was not published: {done}")
    return {"files": done["value"]["files"], "gb": size / 1e9, "read_share": (done["value"]["read"] - imports) / size,
            "download_share": (hub.sent - sent) / size, "commits": len(hub.repos[repo].commits) - commits,
            "uploads": sum(line.startswith("PUT /lfs/") for line in hub.log),
            "peak_gib": done["value"]["peak_kb"] / 2**20, "seconds": time.monotonic() - started}


def killed(clients: Clients, hub: Hub, folder: Path, kills: int, seconds: float, imports: int) -> dict[str, Any]:
    """One publication whose process is killed so many times; uploads of all its attempts are counted."""
    draw, uploads, stages = random.Random(5), 0, set()
    for _ in range(kills):
        hub.log.clear()
        call = clients.start("publish", folder=folder, to=f"hub:{KILLED}", version="1.0.0")
        time.sleep(draw.uniform(0.1, 2 * seconds / kills))
        call.kill()
        uploads += sum(line.startswith("PUT /lfs/") for line in hub.log)
        repo = hub.repos.get(KILLED)
        stages.add((len(repo.commits), len(repo.tags)) if repo else (0, 0))
        whole(hub, folder)
    done = publish(clients, hub, folder, "1.0.0", imports, KILLED)
    whole(hub, folder)
    return done | {"commits": len(hub.repos[KILLED].commits) - 1, "uploads": uploads + done["uploads"],
                   "stages": len(stages)}


def whole(hub: Hub, folder: Path) -> None:
    """A version that has its tag has every file of the release."""
    if (repo := hub.repos.get(KILLED)) and "v1.0.0" in repo.tags:
        files = repo.at("v1.0.0").files
        listed = read_manifest(folder)["files"]
        assert all(files[name].sha256 == listed[name]["sha256"] for name in data_files(folder)), "a torn version"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--megabytes", type=float, default=2.5, help="size of a file")
    parser.add_argument("--kills", type=int, default=20, help="moments at which a publication is killed")
    arguments = parser.parse_args()
    size = int(arguments.megabytes * 1e6)
    with tempfile.TemporaryDirectory(prefix="stepforge-bench-") as scratch, serving() as hub:
        folder = Path(scratch)
        clients = Clients(hub, folder)
        tiny = write_large(folder / "tiny", 1, ROWS, CHARACTERS)
        imports = clients.publish(tiny, "hub:org/tiny", "1.0.0")["value"]["read"]  # of the program's own files
        first = write_large(folder / "first", arguments.files, ROWS, CHARACTERS)
        grow(first, data_files(first), size)
        results = {"1.0.0": publish(clients, hub, first, "1.0.0", imports)}
        second = next_version(first, folder / "second", size)
        results["1.0.1"] = publish(clients, hub, second, "1.0.1", imports)
        hub.stored.clear()
        results["killed"] = killed(clients, hub, first, arguments.kills, results["1.0.0"]["seconds"], imports)
    print(f"{'version':10}" + "".join(f"{name:>15}" for name in results["killed"]))
    for version, numbers in results.items():
        print(f"{version:10}" + "".join(f"{number:15,.4f}" if isinstance(number, float) else f"{number:15,}"
                                        for number in numbers.values()))
    path = Path("build/bench/publish_many.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
