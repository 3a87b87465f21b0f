"""Publish a release of many files, then its next version: `make bench NAME=publish_many`.

2,000 files of 128 kB (`--characters` makes them larger) go to the Hub of the tests on this machine, with the limits
that the product has; the next version has two more files. Printed are bytes that the publisher read from files
and bytes that the Hub sent, over bytes of the release, commits, uploads, and seconds. Writes
build/bench/publish_many.json.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "cards")]

from conftest import Clients  # noqa: E402
from helpers.releases import write_large  # noqa: E402
from hub_server import Hub, serving  # noqa: E402

from stepforge.builders.manifest import read_manifest  # noqa: E402

ROWS, REPO = 4, "org/many"


def publish(clients: Clients, hub: Hub, folder: Path, version: str, imports: int) -> dict[str, Any]:
    size = sum(facts["bytes"] for facts in read_manifest(folder)["files"].values())
    sent, commits, started = hub.sent, len(hub.repos[REPO].commits) if REPO in hub.repos else 1, time.monotonic()
    hub.log.clear()
    done = clients.publish(folder, f"hub:{REPO}", version)
    if "value" not in done:
        raise SystemExit(f"v{version} was not published: {done}")
    return {"files": done["value"]["files"], "bytes": size, "read_share": (done["value"]["read"] - imports) / size,
            "download_share": (hub.sent - sent) / size, "commits": len(hub.repos[REPO].commits) - commits,
            "uploads": sum(line.startswith("PUT /lfs/") for line in hub.log), "seconds": time.monotonic() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--characters", type=int, default=64_000, help="random characters of each of a file's 4 rows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepforge-bench-") as scratch, serving() as hub:
        folder = Path(scratch)
        clients = Clients(hub, folder)
        results = {}
        tiny = write_large(folder / "tiny", 1, ROWS, arguments.characters)
        imports = clients.publish(tiny, "hub:org/tiny", "1.0.0")["value"]["read"]  # of the program's own files
        for version, files in (("1.0.0", arguments.files), ("1.1.0", arguments.files + 2)):
            release = write_large(folder / version, files, ROWS, arguments.characters)
            results[version] = publish(clients, hub, release, version, imports)
    print(f"{'version':10}" + "".join(f"{name:>15}" for name in results["1.0.0"]))
    for version, numbers in results.items():
        print(f"{version:10}" + "".join(f"{number:15,.4f}" if isinstance(number, float) else f"{number:15,}"
                                        for number in numbers.values()))
    path = Path("build/bench/publish_many.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
