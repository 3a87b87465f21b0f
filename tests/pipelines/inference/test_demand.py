"""Servers on demand: what a run's process tells the ranks that ask for one."""

import asyncio
import socket
import stat
import time
from pathlib import Path

import pytest
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.inference.demand import ANSWER, addresses_in, is_replaced, offered
from stepforge.pipelines.inference.server_process import Address
from stepforge.pipelines.options.generators import VllmGenerator

GENERATOR = VllmGenerator(name="g", engine="vllm", model="m")


class Broken:
    """Servers that cannot start."""

    def addresses(self, generator):
        raise StageFailed("the port is taken")

    def close(self):
        pass


def test_a_server_that_does_not_start_is_why_the_stage_failed(tmp_path):
    folder = tmp_path / "on"
    with pytest.raises(StageFailed, match="the port is taken"), offered(Broken(), GENERATOR, folder):
        with pytest.raises(ServerError, match="the port is taken"):
            asyncio.run(addresses_in(folder, 0))
        raise StageFailed("1 of 2 ranks did not finish")


def test_nobody_asks_and_nothing_starts(tmp_path):
    with offered(Broken(), GENERATOR, tmp_path / "on"):
        pass


class Slow:
    """Servers of a cluster that takes a while to say how they are."""

    def __init__(self):
        self.closed = False

    def addresses(self, generator):
        time.sleep(1)
        return (Address("http://there:1/v1", Path("log")),)

    def close(self):
        self.closed = True


def test_a_stage_that_ends_while_servers_are_looked_at_leaves_them_to_the_next(tmp_path):
    servers = Slow()
    with offered(servers, GENERATOR, tmp_path / "on") as folder:
        assert asyncio.run(addresses_in(folder, 5)).url == "http://there:1/v1"
        time.sleep(0.5)  # in the midst of the next look
    assert not servers.closed


def test_answers_with_keys_are_for_this_user_alone_and_a_rank_prefers_its_own_machine(tmp_path):
    class Two(Slow):
        def addresses(self, generator):
            here = Address(f"http://{socket.gethostname()}:2/v1", Path("log"), "secret")
            return (Address("http://there:1/v1", Path("log")), here)

    with offered(Two(), GENERATOR, tmp_path / "on") as folder:
        near = asyncio.run(addresses_in(folder, 0))
        assert near.key == "secret" and near == asyncio.run(addresses_in(folder, 1))
        assert asyncio.run(addresses_in(folder, 0, gone=near)).url == "http://there:1/v1"
        assert not is_replaced(folder, near) and is_replaced(folder, near._replace(url="http://gone:1/v1"))
        assert stat.S_IMODE((folder / ANSWER).stat().st_mode) == 0o600
