"""Servers on demand: what a run's process tells the ranks that ask for one."""

import asyncio

import pytest
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.inference.demand import addresses_in, offered
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
