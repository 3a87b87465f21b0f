"""What was paid for is kept, and a torn line costs only itself."""

import errno
import math
import os
import random
import subprocess
import sys
import time

import pytest

from stepforge.pipelines.inference.journal import Journal, shard_of

SHARD = "0" * 32


def test_records_come_back_to_this_process_and_the_next(tmp_path):
    journal = Journal(tmp_path)
    for i in range(100):
        journal.append(f"k{i}", SHARD, {"text": f"line\n{i}"})
    assert journal.get("k7") == {"text": "line\n7"}
    again = Journal(tmp_path)
    assert len(again) == 100 and again.get("k99") == {"text": "line\n99"} and again.get("k100") is None


def test_torn_last_line_is_skipped_and_never_appended_to(tmp_path):
    first = Journal(tmp_path)
    first.append("a", SHARD, {"text": "whole"})
    first.append("b", SHARD, {"text": "torn"})
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-5])
    second = Journal(tmp_path)
    assert second.torn == 1 and "b" not in second and second.get("a") == {"text": "whole"}
    second.append("b", SHARD, {"text": "made again"})
    assert Journal(tmp_path).get("b") == {"text": "made again"}
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


WRITER = """
import random, sys, time
from pathlib import Path
from stepforge.pipelines.inference.journal import Journal
folder, name, done = Path(sys.argv[1]), sys.argv[2], open(sys.argv[3], "a")
while not all(Path(path).exists() for path in sys.argv[3:]):    # a machine under load may start one of them late
    time.sleep(0.01)
journal, keys = Journal(folder), [f"k{i}" for i in range(200_000)]
random.Random(name).shuffle(keys)
for key in keys:
    if key not in journal:
        journal.append(key, "0" * 32, {"text": f"{key} by {name} " * 40})
        done.write(key + chr(10)); done.flush()
"""


def test_several_processes_write_one_folder_and_are_killed_at_any_moment(tmp_path):
    """Two runs of which no lock keeps one out, as on a network file system without locks: whatever was written is
    there once, whole and under its own key, and a torn line costs only itself."""
    folder, draw = tmp_path / "journal", random.Random(5)
    for turn in range(3):
        ended = [tmp_path / f"done-{turn}-{part}" for part in "ab"]
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(folder), f"{turn}{part}", *map(str, order)])
                   for part, order in (("a", ended), ("b", ended[::-1]))]
        while min(path.stat().st_size if path.exists() else 0 for path in ended) < 500:
            assert [writer.poll() for writer in writers] == [None, None]
            time.sleep(0.005)
        for writer in writers:
            writer.kill()
            writer.wait()
        files = sorted(folder.glob("*.jsonl"))
        assert len(files) == 2 * (turn + 1), "every process writes a file of its own"
    done = {line for path in tmp_path.glob("done-*") for line in path.read_text().split("\n")[:-1]}
    journal = Journal(folder)
    assert done <= set(journal._places) and 100 < len(done) <= len(journal) and journal.torn == 0
    texts = {journal.get(key)["text"] for key in done}
    assert len(texts) == len(done) and all(text.split(" ")[0] in done for text in texts)
    last = draw.choice(files)  # a disk or a server that lost the end of a file
    last.write_bytes(last.read_bytes()[:-draw.randrange(2, 60)])
    again = Journal(folder)
    assert again.torn == 1 and len(journal) - len(again) in (0, 1)


def test_garbage_between_lines_costs_only_itself(tmp_path):
    (tmp_path / "00000-000000.jsonl").write_bytes(
        b'{"key":"a","shard":"%s","record":{"n":1}}\n\x00\xff\x00garbage\n[1]\n{"key":"b","shard":"%s","record":{"n":2}}\n'
        % (SHARD.encode(), SHARD.encode())
    )
    journal = Journal(tmp_path)
    assert journal.torn == 2 and journal.get("b") == {"n": 2}


def test_ranks_see_their_own_shards_whatever_their_number(tmp_path):
    shards = [f"{i:08x}" + "0" * 24 for i in range(50)]
    journal = Journal(tmp_path)
    for shard in shards:
        journal.append(shard, shard, {})
    for ranks in (1, 2, 7):
        seen = [Journal(tmp_path, rank, ranks) for rank in range(ranks)]
        assert sum(len(part) for part in seen) == 50
        assert all(shard in seen[shard_of(shard, ranks)] for shard in shards)


def test_full_disk_stops_the_writer(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no space")))
    with pytest.raises(OSError, match="no space"):
        journal.append("a", SHARD, {})
    assert "a" not in journal


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 4), (4, 6), (6, 4), (4, 1), (3, 8), (8, 2)])
def test_a_rank_opens_the_files_that_can_hold_its_problems_and_misses_none(tmp_path, before, after):
    shards = [f"{i:08x}" + "0" * 24 for i in range(60)]
    for rank in range(before):
        journal = Journal(tmp_path, rank, before)
        for shard in shards:
            if shard_of(shard, before) == rank:
                journal.append(shard, shard, {"shard": shard})
    opened = 0
    for rank in range(after):
        journal = Journal(tmp_path, rank, after)
        opened += len(journal._readers)
        own = {shard for shard in shards if shard_of(shard, after) == rank}
        assert len(journal) == len(own) and all(journal.get(shard) == {"shard": shard} for shard in own)
    assert opened == before * after // math.gcd(before, after)


def test_a_line_with_a_shard_that_is_no_number_or_without_a_record_is_nobodys(tmp_path):
    (tmp_path / "00000-000000.jsonl").write_bytes(
        b'{"key":"a","shard":"elsewhere","record":{}}\n{"key":"c","shard":"0"}\n'
        b'{"key":"b","shard":"%s","record":{"n":2}}\n' % SHARD.encode())
    journal = Journal(tmp_path)
    assert journal.torn == 2 and journal.get("b") == {"n": 2} and journal.get("c") is None
