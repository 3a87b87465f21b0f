"""Journals by bucket: a closed one is one file, a rank opens its own, and whoever is killed at it loses nothing."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.inference import journal_files
from stepforge.pipelines.inference.journal import Journal, Journals, journal_lines
from stepforge.pipelines.inference.journal_files import compact, files_of, regroup, shard_of

PROBLEMS = [f"{number * 2654435761 % 2**32:08x}" + "0" * 24 for number in range(60)]
KEYS = {f"{problem}-{index}": problem for problem in PROBLEMS for index in range(20)}


def write(folder, ranks, keys=KEYS):
    for rank in range(ranks):
        journal = Journal(folder, rank, ranks)
        for key, problem in keys.items():
            if shard_of(problem, ranks) == rank and key not in journal:
                journal.append(key, problem, {"text": f"{key}\nx"})
        journal.close()


def check(folder, buckets, keys=KEYS):
    journals = Journals(folder, 0, 1, buckets)
    for key, problem in keys.items():
        assert journals.of(problem).get(key) == {"text": f"{key}\nx"}
    journals.close()


def names(folder):
    return [path.name for path in files_of(folder)]


def test_a_closed_bucket_is_one_file_that_gives_every_answer(tmp_path):
    write(tmp_path, 4)
    lines = sum(path.stat().st_size for path in files_of(tmp_path))
    for bucket in range(4):
        compact(tmp_path, bucket, 4)
    assert names(tmp_path) == [f"{bucket:05d}of00004.parquet" for bucket in range(4)]
    assert journal_lines(tmp_path) == len(KEYS) and sum(p.stat().st_size for p in files_of(tmp_path)) < lines / 3
    check(tmp_path, 4)
    journal = Journal(tmp_path, 2, 4)
    assert set(journal._places) == {key for key, problem in KEYS.items() if shard_of(problem, 4) == 2}
    journal.append("new", PROBLEMS[2], {"text": "later"})
    journal.close()
    compact(tmp_path, 2, 4)
    assert len(files_of(tmp_path)) == 4 and Journal(tmp_path, 2, 4).get("new") == {"text": "later"}
    check(tmp_path, 4)


def test_a_later_answer_stands_before_an_earlier_one(tmp_path):
    for text in ("torn", "made again"):
        journal = Journal(tmp_path, 0, 2)
        journal.append("k", "0" * 32, {"text": text})
        journal.close()
        compact(tmp_path, 0, 2)
    assert Journal(tmp_path, 0, 2).get("k") == {"text": "made again"}


@pytest.mark.parametrize("moment", ["write_table", "unlink"])
def test_a_stop_in_the_middle_of_compaction_loses_nothing(tmp_path, monkeypatch, moment):
    write(tmp_path, 2)
    journal = Journal(tmp_path, 0, 2)
    journal.append("more", "0" * 32, {"text": "more\nx"})
    journal.close()
    home = journal_files.pq.ParquetWriter if moment == "write_table" else Path
    stopped = [0]

    def stop(*_, **__):
        stopped[0] += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(home, moment, stop)
        compact(tmp_path, 0, 2)
    assert stopped[0]
    check(tmp_path, 2, KEYS | {"more": "0" * 32})
    compact(tmp_path, 0, 2)
    assert names(tmp_path)[0] == "00000of00002.parquet" and len(files_of(tmp_path)) == 2
    check(tmp_path, 2, KEYS | {"more": "0" * 32})


WRITER = """
import sys
from pathlib import Path
from stepforge.pipelines.inference.journal import Journals
folder, done = Path(sys.argv[1]), open(sys.argv[2], "a")
for turn in range(100_000):
    journals = Journals(folder, 0, 1, 2)
    for number in range(40):
        key = f"{sys.argv[2]}-{turn}-{number}"
        journals.of("0" * 32).append(key, "0" * 32, {"text": key * 20})
        done.write(key + chr(10)); done.flush()
    journals.finish(0)
"""


def test_a_writer_that_is_killed_while_it_compacts_loses_no_answer(tmp_path):
    folder, draw = tmp_path / "journal", random.Random(3)
    for turn in range(4):
        done_file = tmp_path / f"done-{turn}"
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(done_file)])
        while not done_file.exists() or done_file.stat().st_size < 3000:
            assert writer.poll() is None
            time.sleep(0.002)
        time.sleep(draw.random() / 10)
        writer.kill()
        writer.wait()
        done = {line for path in tmp_path.glob("done-*") for line in path.read_text().split("\n")[:-1]}
        journal = Journal(folder, 0, 2)
        assert all(journal.get(key) == {"text": key * 20} for key in done)
        journal.close()


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 6), (6, 4), (3, 8)])
def test_another_number_of_buckets_costs_one_pass(tmp_path, monkeypatch, before, after):
    write(tmp_path, before)
    compact(tmp_path, 0, before)
    opened = []
    monkeypatch.setattr(journal_files, "open_answers", lambda path, real=journal_files.open_answers: opened.append(
        path.name) or real(path))
    files = names(tmp_path)
    assert regroup(tmp_path, after) == before and sorted(opened) == sorted(files)
    assert {name[5:12] for name in names(tmp_path)} == {f"of{after:05d}"}
    assert journal_lines(tmp_path) == len(KEYS) and regroup(tmp_path, after) == 0
    check(tmp_path, after)
    assert all(len(Journal(tmp_path, bucket, after)._readers) == 1 for bucket in range(after))


@pytest.mark.parametrize("moment", ["rename", "unlink"])
def test_a_stop_in_the_middle_of_that_pass_loses_nothing(tmp_path, monkeypatch, moment):
    write(tmp_path, 3)
    monkeypatch.setattr(journal_files, "BUFFERED", 2000)
    done, real = [0], getattr(Path, moment)

    def stop(path, *arguments, **named):
        done[0] += 1
        if done[0] == 2:
            raise KeyboardInterrupt
        return real(path, *arguments, **named)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, moment, stop)
        regroup(tmp_path, 4)
    check(tmp_path, 4)
    regroup(tmp_path, 4)
    check(tmp_path, 4)
    assert {name[5:12] for name in names(tmp_path)} == {"of00004"}


def test_a_closed_journal_that_is_damaged_is_named(tmp_path):
    write(tmp_path, 2)
    compact(tmp_path, 1, 2)
    path = tmp_path / "00001of00002.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StageFailed, match="00001of00002.parquet is damaged"):
        Journal(tmp_path, 1, 2)
