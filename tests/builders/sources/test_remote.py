"""Files on another machine are read as if they were here, and fetched once for each version."""

import fsspec
import pytest

from stepforge.builders.errors import SourceError, UserError
from stepforge.builders.sources.records import Record, expand, read_records
from stepforge.pipelines import plan
from stepforge.pipelines.recipe import Recipe


@pytest.fixture
def memory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()


def test_rows_of_remote_files_in_the_order_of_their_names(memory):
    memory.pipe({"/set/b.jsonl": b'{"n": 2}\n', "/set/a.jsonl": b'{"n": 1}\n', "/set/c.txt": b""})
    records = list(read_records(["memory://set/*.jsonl"]))
    assert records == [Record("a.jsonl:1", {"n": "1"}), Record("b.jsonl:1", {"n": "2"})]


def test_remote_folder_is_read_as_a_folder_here(memory):
    memory.pipe({"/set/deep/b.jsonl": b'{"n": 2}\n', "/set/a.jsonl": b'{"n": 1}\n', "/set/README.md": b""})
    assert [record.where for record in read_records(["memory://set"])] == ["a.jsonl:1", "b.jsonl:1"]


def test_file_is_fetched_once_and_again_when_it_changed(memory, monkeypatch):
    memory.pipe({"/set/a.jsonl": b'{"n": 1}\n'})
    (first,) = expand(["memory://set/a.jsonl"])
    monkeypatch.setattr(type(memory), "get_file", None)
    assert expand(["memory://set/a.jsonl"]) == [first]
    monkeypatch.undo()
    memory.pipe({"/set/a.jsonl": b'{"n": 2}\n'})
    (second,) = expand(["memory://set/a.jsonl"])
    assert second != first and second.read_bytes() == b'{"n": 2}\n'


def test_absent_file_and_unknown_protocol_are_told(memory):
    with pytest.raises(SourceError, match="no file matches 'memory://set/x.jsonl'"):
        expand(["memory://set/x.jsonl"])
    with pytest.raises(SourceError, match="nowhere://a.jsonl"):
        expand(["nowhere://a.jsonl"])


def test_run_is_not_kept_in_a_bucket(tmp_path):
    recipe = Recipe.model_validate({"name": "r", "problems": [{"source": "arithmetic"}],
                                    "generators": [{"name": "g", "engine": "embedded"}]})
    with pytest.raises(UserError, match="needs a local or mounted disk"):
        plan.run(recipe, tmp_path.__class__("s3://bucket/runs"), plan.silent, lambda *_: None)
