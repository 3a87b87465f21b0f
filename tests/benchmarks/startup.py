"""CPU time until a command answers, against `import typer, rich`: `make bench NAME=startup`.

Every round runs each program once, one after the other, so that load meets all of them alike; a ratio is that of the
medians. With ARGS=runs/NAME, the folder of a run, `status` and `show` are measured too. Writes
build/bench/startup.json.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

ROUNDS = 15
CLI = ["-m", "stepforge.pipelines.cli"]


def programs(run: str | None) -> dict[str, list[str]]:
    """Arguments of Python by name; the first is what the others are measured against."""
    commands = {"base": ["-c", "import typer, rich"], "import": ["-c", "import stepforge"],
                "help": [*CLI, "--help"], "recipe": [*CLI, "recipe", "demo"]}
    return commands | ({"status": [*CLI, "status", run], "show": [*CLI, "show", run]} if run else {})


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one process of Python."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"python {' '.join(arguments)} ended with code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    commands = programs(sys.argv[1] if len(sys.argv) > 1 else None)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(ROUNDS + 1):
        for name, arguments in commands.items():
            seconds = cpu_seconds(arguments)
            if round_:  # the first round fills the caches of the disk
                times[name].append(seconds)
    medians = {name: median(values) for name, values in times.items()}
    report = {f"{name}_ratio": medians[name] / medians["base"] for name in commands if name != "base"}
    for name, seconds in medians.items():
        print(f"{name:<8}{seconds:7.3f} s{seconds / medians['base']:7.2f}")
    target = Path("build/bench/startup.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report | {"load": os.getloadavg()[0]}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
