"""Batches: requests as a file for a provider's batch API, and its answers back into the journals.

In: a run whose generator has `engine: batch`. Out: JSON lines as OpenAI's batch API takes them (`custom_id`, `method`,
`url`, `body`); the file of its answers, in any order, is read back by `custom_id`, which is the request's key in its
journal. The next run finds the answers there, and writes down what it wants to ask next: generate, judge and rollouts
go in rounds.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.answer import Unreadable, parse, read
from stepforge.pipelines.inference.client import FILTER, TOO_LONG
from stepforge.pipelines.inference.endpoint import longest
from stepforge.pipelines.inference.errors import Filtered, PromptTooLong, RequestFailed
from stepforge.pipelines.inference.journal import WAITING, Journal
from stepforge.pipelines.inference.runner import Completion, completions_of

MOST = 50_000  # requests of one file


class Imported(NamedTuple):
    """Lines that were taken, whose request has its answer already or is none of the run's, and that hold no answer."""

    taken: int
    known: int
    foreign: int
    failed: int


def export_batch(run: Path, out: Path) -> list[Path]:
    """Write the requests that wait for an answer to `out`, or to several files where they are more than MOST.

    Raises:
        UserError: nothing waits.
    """
    lines = [orjson.dumps({"custom_id": line["key"], "method": "POST", "url": line["url"], "body": line["body"]})
             for folder, lines in _waiting(run) for line in lines]
    if not lines:
        raise UserError(f"no request of {run} is waiting for a batch; run its recipe first, with `engine: batch`")
    parts = [lines[at:at + MOST] for at in range(0, len(lines), MOST)]
    paths = [out] if len(parts) == 1 else [out.with_stem(f"{out.stem}-{number:04d}") for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(b"".join(line + b"\n" for line in part))
    return paths


def import_batch(run: Path, answers: Path) -> Imported:
    """Put the answers of a file into the journals of the run; what holds none goes on waiting.

    Raises:
        UserError: the file cannot be read.
    """
    waiting = [(folder, line) for folder, lines in _waiting(run, answered=True) for line in lines]
    places = {line["key"]: (folder, line["shard"]) for folder, line in waiting}
    limits = {line["key"]: longest(line["body"]) for _, line in waiting}
    journals: dict[Path, Journal] = {}
    taken = known = foreign = failed = 0
    try:
        with answers.open("rb") as file:
            for text in file:
                key, completions = _answer(text, limits)
                if key not in places:
                    foreign += 1
                    continue
                folder, shard = places[key]
                if folder not in journals:
                    journals[folder] = Journal(folder)
                journal = journals[folder]
                if key in journal:
                    known += 1
                elif completions is None:
                    failed += 1
                else:
                    journal.append(key, shard, {"choices": completions})
                    taken += 1
    except OSError as error:
        raise UserError(f"cannot read {answers}: {error.strerror}") from error
    finally:
        for journal in journals.values():
            journal.close()
    return Imported(taken, known, foreign, failed)


def _waiting(run: Path, answered: bool = False) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """The requests that wait, by the folder of their journal; `answered` ones too, where that is asked for."""
    for folder in sorted({path.parent for path in run.glob(f"*/**/*{WAITING}")}):
        journal = Journal(folder)
        lines = {line["key"]: line for path in sorted(folder.glob(f"*{WAITING}"))
                 for line in map(orjson.loads, path.read_bytes().splitlines())
                 if answered or line["key"] not in journal}
        journal.close()
        yield folder, list(lines.values())


def _answer(text: bytes, limits: Mapping[str, int | None]) -> tuple[str, list[Completion] | None]:
    """The key of a line and its completions; null where it holds none, which the next batch may.

    `limits`: the most tokens that each request asked for, by its key.
    """
    try:
        line = parse(text)
        key = str(line["custom_id"])
    except (Unreadable, KeyError, TypeError):
        return "", None
    response = line.get("response")
    response = response if isinstance(response, dict) else {}
    if line.get("error") or response.get("status_code", 200) != 200:
        return key, _refused(str(line.get("error") or response.get("body")))
    try:
        return key, completions_of(read(response.get("body"), text), most=limits.get(key))
    except (Unreadable, RequestFailed):
        return key, None


def _refused(said: str) -> list[Completion] | None:
    for pattern, outcome in ((TOO_LONG, PromptTooLong), (FILTER, Filtered)):
        if pattern.search(said):
            return [Completion("", outcome.reason, None, None, None, error=said[:300])]
    return None
