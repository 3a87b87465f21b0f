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
