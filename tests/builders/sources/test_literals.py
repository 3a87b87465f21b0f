"""Lists in texts: read as pandas and JSON write them, and refused as numpy prints them."""

import json

import numpy as np
import pytest

from stepforge.builders.sources.literals import decoded, list_in_text
from stepforge.builders.sources.mapping import Column, map_rows
from stepforge.builders.sources.misfits import Misfit

TEXTS = ["It's 2.\nThe answer is 2.", 'He said "7".', "\\boxed{8}", "\u00e9"]
CHAT = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "It's 2."}]


@pytest.mark.parametrize("values", [TEXTS, TEXTS[:1], CHAT, [["a"], ["b", None]], [True, False], []])
def test_what_python_and_json_write_of_a_list_is_that_list(values):
    assert list_in_text(repr(values)) == list_in_text(json.dumps(values)) == values == decoded(repr(values))


@pytest.mark.parametrize("text", ["[1, 2]", "[0.5, 2.50)", "[x, y]", "['a'", "a ['b']", r"[\frac{1}{2}, 3]", "(1, 2)",
                                  "['a'] or ['b'].", "{'a': 1}", "[f', g']"])
def test_other_texts_stay_what_they_are(text):
    assert list_in_text(text) is None


@pytest.mark.parametrize("text", [
    str(np.array(TEXTS)), str(np.array(TEXTS[:2], dtype=object)), str(np.array(CHAT)), "['a' 'b']", "['a'\n 'b']",
    "['a', ..., 'b']", "[array(['a', 'b'], dtype=object)]", "['a', nan]", '["a", "b"', "['\\d']",
    "['a'" + ", [" * 5000 + "]", "[['a' 'b'], ['c']]", "['a', {'b', 'c'}]"])
def test_a_list_that_cannot_be_read_with_certainty_is_refused(text):
    if text.endswith("]"):
        with pytest.raises(Misfit, match="write the file as Parquet, or the column as JSON"):
            list_in_text(text)
    with pytest.raises(ValueError, match="neither JSON nor"):
        decoded(text)


def test_a_key_twice_is_no_object_in_either_language():
    with pytest.raises(ValueError, match="has the key 'a' twice"):
        decoded('{"a": 1, "a": 2}')


@pytest.mark.parametrize(("gold", "fault"), [
    ('{"value": 5}', "'gold' is an object that stands in a text; name one of its keys, as in gold.value, or write "
                     "'{gold}' to take the text as it is"),
    ("{'x': 3, 'y': 4}", "as in gold.x"), ('{"a": 1, "a": 2}', "'gold': an object has the key 'a' twice"),
    ("{}", None), ("{1, 2}", None), ("{'a', 'b'}", None), ("{x: 3}", None), (r"\{1, 2\}", None), ("{1: 2}", None),
    ('{"value": 5', None), (r"{\frac{1}{2}}", None), ('f = {"value": 5}', None)])
def test_an_object_in_a_text_is_no_answer(gold, fault):
    misfits = map_rows([{"gold": gold}], {"answer": Column("gold")}).misfits
    assert fault in str(misfits[0]) if fault else not misfits
    assert map_rows([{"gold": gold}], {"answer": Column("{gold}")}).frame["answer"].to_list() == [[gold]]
    assert not map_rows([{"gold": gold}], {"solution": Column("gold")}).misfits


@pytest.mark.parametrize("text", ["[1 0 1]", "[ True False]", "[1. 0.5]", "[7 nan]"])
def test_numbers_are_a_list_only_where_they_are_asked_for(text):
    assert list_in_text(text) is None and list_in_text("[1, 0.50]") is None
    assert list_in_text("[1, 0.50]", numbers=True) == ["1", "0.50"]
    with pytest.raises(Misfit):
        list_in_text(text, numbers=True)


def test_a_column_of_lists_takes_them_out_of_a_text_and_any_other_says_what_to_do():
    row = {"outputs": repr(TEXTS), "gold": "['7']", "chat": repr(CHAT), "labels": "[1, 0]", "array": "['a' 'b']",
           "interval": "[1, 2]"}

    def mapped(lists=(), single=(), **columns):
        frame, misfits = map_rows([row], {name: Column(path) for name, path in columns.items()}, lists, single)
        return str(misfits[0]) if misfits else frame.row(0)[0]

    assert mapped({"solutions"}, solutions="outputs") == TEXTS
    assert mapped({"steps"}, steps="outputs") == TEXTS
    assert mapped({"upstream_labels"}, upstream_labels="labels") == ["1", "0"]
    assert mapped(single={"solution"}, solution="chat[-1].content") == ["It's 2."]
    assert mapped(answer="gold[0]") == ["7"] and mapped(answer="{gold}") == ["['7']"]
    assert mapped(answer="gold ~ (\\d)") == ["7"] and mapped(answer="interval") == ["[1, 2]"]
    assert "'gold' is a list that stands in a text; name one of its elements, as in gold[0]" in mapped(answer="gold")
    assert "`solutions: outputs` where each element" in mapped(single={"solution"}, solution="outputs")
    assert "name one of its keys, as in chat[].role" in mapped({"solutions"}, solutions="chat")
    assert "as in chat[0]" in mapped(problem="chat")
    for name in ("solutions", "problem", "answer", "solution"):
        assert "'array': it is a list as numpy or pandas prints it" in mapped({"solutions"}, {"solution"},
                                                                              **{name: "array"})
    assert "nor a list or an object as Python prints it" in mapped(answer="array[0]")
