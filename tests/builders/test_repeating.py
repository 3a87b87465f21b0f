"""What a thread repeats while a block runs."""

import threading
import time

import pytest

from stepforge.builders.repeating import repeating


def test_an_action_is_repeated_inside_the_block_and_not_after_it_even_where_the_block_fails():
    calls, third = [], threading.Event()

    def act():
        calls.append(len(calls))
        if len(calls) == 3:
            third.set()

    with pytest.raises(KeyError), repeating(act, 0.01):
        assert third.wait(60)
        raise KeyError
    count = len(calls)
    time.sleep(0.1)
    assert len(calls) == count
