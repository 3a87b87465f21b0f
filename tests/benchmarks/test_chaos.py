"""A handful of the faults of `make bench NAME=chaos`, one of each kind that is cheap."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def chaos():
    """The benchmark as a module under its own name, so that processes which it forks can import it."""
    path = Path(__file__).with_name("chaos.py")
    specification = importlib.util.spec_from_file_location("chaos", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules["chaos"] = module
    sys.path.insert(0, str(path.parent))
    specification.loader.exec_module(module)
    yield module
    sys.path.remove(str(path.parent))
    del sys.modules["chaos"]


@pytest.fixture(scope="module")
def setting(chaos):
    server = chaos.Server()
    yield server, chaos.reference(server)
    server.kill()


@pytest.mark.parametrize("kind", ["parent killed", "worker killed", "disk full", "table cut", "journal cut",
                                  "server answers half"])
def test_run_survives(chaos, setting, kind):
    server, expected = setting
    (fault,) = (fault for fault in chaos.FAULTS if fault.kind == kind)
    if reason := fault.needs():
        pytest.skip(reason)
    outcome = chaos.attempt(fault, server, 5, expected)
    assert outcome["survived"] and not outcome["traceback"], outcome
