"""Ids, seeds and schemas."""

from stepforge.builders.tables import TABLES, content_id, derive_seed


def test_ids_depend_on_content_alone_and_tell_types_apart():
    assert content_id("a", 1) == content_id("a", 1)
    assert len({content_id("a", 1), content_id("a", "1"), content_id("a1"), content_id(["a", 1])}) == 4
    assert len(content_id("a")) == 32


def test_hundred_thousand_seeds_differ_and_are_exact_in_json():
    # 100,000 draws from 2**53 collide with a probability below 1e-6.
    seeds = {derive_seed(0, "rollout", i) for i in range(100_000)}
    assert len(seeds) == 100_000
    assert max(seeds) < 2**53


def test_every_column_says_what_it_holds_and_every_key_is_a_column():
    for table in TABLES.values():
        assert all(len(sentence) > 10 and sentence.endswith(".") for sentence in table.describe().values())
        assert set(table.key) <= set(table.schema.names)
