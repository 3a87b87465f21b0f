"""What a Slurm job of servers does: starts them, keeps them running, and says in the run's folder how they are.

    python -m stepforge.pipelines.inference.server_job RUN/work/servers LOGS

It reads `task.json` in the folder and writes `JOB.json`: where its servers answer, with a beat, or why they do not. A
server that dies is replaced within the job, which keeps the node. The job ends when Slurm ends it, when its servers
die again and again, and when the run's process has been silent for long.
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from stepforge.builders.errors import StageFailed, UserError
from stepforge.pipelines.inference.demand import packed, read_private, write_private
from stepforge.pipelines.inference.server_process import Address
from stepforge.pipelines.inference.servers import Servers
from stepforge.pipelines.inference.slurm_servers import ALIVE, BEAT_SECONDS, TASK, Beat
from stepforge.pipelines.options.generators import SglangGenerator, VllmGenerator

ORPHANED_SECONDS = 900.0  # without a sign of the run's process; time to start it again


def main() -> None:
    """Serve until there is a reason to end."""
    folder, logs, job = Path(sys.argv[1]), Path(sys.argv[2]), os.environ["SLURM_JOB_ID"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    task = read_private(folder / TASK)
    generator = TypeAdapter(VllmGenerator | SglangGenerator).validate_python(task["generator"])
    lease, alive, beat = folder / f"{job}.json", Beat(), 0
    with Servers(logs, key=task["key"]) as servers:
        while alive.silence(_text(folder / ALIVE)) < ORPHANED_SECONDS:
            try:
                addresses = [_from_afar(address) for address in servers.addresses(generator)]
            except (StageFailed, UserError) as error:
                write_private(lease, {"error": str(error)})
                sys.exit(1)
            beat += 1
            write_private(lease, {"addresses": packed(addresses), "host": socket.gethostname(), "beat": beat})
            time.sleep(BEAT_SECONDS)


def _from_afar(address: Address) -> Address:
    """The address as other machines know it."""
    return address._replace(url=f"http://{socket.gethostname()}:{urlsplit(address.url).port}/v1")


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


if __name__ == "__main__":
    main()
