"""The window of requests under way: how it grows, shrinks, and hands out its slots."""

import asyncio

import pytest

from stepforge.pipelines.inference.limit import Limit


def test_window_doubles_until_the_first_cut_and_grows_by_one_a_round_from_then_on():
    limit = Limit(64, 4)
    for _ in range(4):
        limit.answered()
    assert limit.window == 8
    limit.too_much(0)
    assert limit.window == 4
    for _ in range(4):
        limit.answered()
    assert limit.window == pytest.approx(5, abs=0.1)


def test_words_about_requests_from_before_a_cut_count_once():
    limit = Limit(64, 64)
    for _ in range(10):
        limit.too_much(0)
    assert limit.window == 32
    limit.too_much(1)
    assert limit.window == 16


def test_window_stays_between_one_and_most():
    limit = Limit(8, 8)
    limit.answered()
    assert limit.window == 8
    for cuts in range(9):
        limit.too_much(cuts)
    assert limit.window == 1


def test_no_more_than_the_window_at_a_time_and_nobody_is_left_waiting():
    async def run():
        limit, peak, done = Limit(3, 3), 0, 0

        async def one():
            nonlocal peak, done
            async with limit.slot():
                peak = max(peak, limit.under_way)
                await asyncio.sleep(0)
            done += 1

        tasks = [asyncio.create_task(one()) for _ in range(50)]
        await asyncio.sleep(0)
        for task in tasks[5:20]:  # some wait for a slot, and go away
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return peak, done, limit.under_way

    assert asyncio.run(run()) == (3, 35, 0)


def test_a_pause_is_not_cut_short_by_a_shorter_one():
    async def waited(*pauses: float) -> bool:
        limit = Limit(1, 1)
        for seconds in pauses:
            limit.pause(seconds)
        async with asyncio.timeout(0.3):
            async with limit.slot():
                return True

    assert asyncio.run(waited(0.0))
    with pytest.raises(TimeoutError):
        asyncio.run(waited(60.0, 0.0))
