"""Where files lie: each is read once, in the order in which the recipe names it first."""

from stepforge.builders.sources.places import expand


def test_a_file_that_several_patterns_reach_is_read_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("b.jsonl", "c.jsonl", "sub/b.jsonl"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "link.jsonl").symlink_to("b.jsonl")
    paths = ["c.jsonl", "*.jsonl", "./sub/../b.jsonl", str(tmp_path / "c.jsonl"), "sub", "link.jsonl"]
    assert list(map(str, expand(paths))) == ["c.jsonl", "b.jsonl", "sub/b.jsonl"]
