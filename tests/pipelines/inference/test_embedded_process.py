"""The process of the embedded engine: its answers are the sampler's, and it never leaves a caller without a word."""

import asyncio
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest
from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.types import ServerError
from helpers.embedded import PROMPTS, ask, crowd

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference import embedded
from stepforge.pipelines.inference.embedded import EmbeddedServer, SamplerProcess, shared_sampler
from stepforge.pipelines.inference.engines import check_ready
from stepforge.pipelines.inference.errors import PromptTooLong
from stepforge.pipelines.inference.sample import sample
from stepforge.pipelines.inference.sampler import BatchSampler
from stepforge.pipelines.options.generators import EmbeddedGenerator


def test_server_answers_through_the_interface_of_datatrove():
    sampler = BatchSampler("tiny")
    config = InferenceConfig(server_type="custom", model_name_or_path="tiny", server_ready_delay_sec=0.01)

    async def answers() -> list[dict]:
        async with EmbeddedServer(config, rank=0) as server:
            return await asyncio.gather(*(server.make_request(payload) for payload in crowd(20)))

    direct = [ask(sampler, **payload)["choices"] for payload in crowd(20)]
    assert [answer["choices"] for answer in asyncio.run(answers())] == direct


def test_errors_of_the_process_keep_their_type(tmp_path):
    process = shared_sampler(model="tiny")
    with pytest.raises(ValueError, match="temperature is -1"):
        ask(process, prompt=PROMPTS[0], temperature=-1)
    with pytest.raises(PromptTooLong, match="leaves no room"):
        ask(process, prompt=PROMPTS[0] * 200)
    with pytest.raises(UserError, match="nowhere' cannot be loaded"):
        SamplerProcess(model=str(tmp_path / "nowhere"))
    assert ask(process, prompt=PROMPTS[0])["choices"][0]["text"]


def test_whoever_waits_for_a_process_that_is_killed_is_told_and_the_next_gets_another():
    process = shared_sampler(model="tiny", slots=2)
    waiting = [process.submit({"prompt": PROMPTS[0], "n": 40, "max_tokens": 200, "seed": seed}) for seed in range(9)]
    process.close()
    for answer in [*waiting, process.submit({"prompt": PROMPTS[0]})]:
        with pytest.raises(ServerError, match="ended with code -9"):
            answer.result(timeout=60)
    assert shared_sampler(model="tiny", slots=2) is not process


def test_process_ends_with_its_parent_however_that_ends():
    program = ("import os, signal\n"
               "from stepforge.pipelines.inference.embedded import shared_sampler\n"
               "process = shared_sampler(model='tiny')\n"
               "process.submit({'prompt': 'Ada', 'n': 500, 'max_tokens': 200})\n"
               "print(process._process.pid, flush=True)\n"
               "os.kill(os.getpid(), signal.SIGKILL)\n")
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=280, check=False)
    assert done.returncode == -signal.SIGKILL
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(timeout=60)


def test_a_machine_without_torch_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"pip install 'stepforge\[embedded\]'"):
        check_ready(EmbeddedGenerator(engine="embedded", name="tiny", model="tiny"))


def test_a_process_that_cannot_start_tells_its_last_words(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('a library is broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(embedded, "_processes", {})
    with pytest.raises(ServerError, match="with code 1. OSError: a library is broken\nLast lines of its errors:\n"):
        SamplerProcess(model="tiny")
    with pytest.raises(UserError, match="a library is broken"):
        sample("tiny", PROMPTS[:1])


def test_a_process_that_does_not_start_is_ended(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("import time, sys\nsys.stderr.write('OSError: reads\\n')\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(embedded, "START_SECONDS", 5)
    with pytest.raises(ServerError, match="engine did not start within 5 s. OSError: reads"):
        SamplerProcess(model="tiny")


def test_half_an_answer_is_none(monkeypatch, tmp_path):
    """As a process leaves it that is killed while it writes."""
    program = tmp_path / "python"
    program.write_text("""#!/bin/sh
echo '{"ready": true}'
read asked
printf '{"number": 0, "ans'
kill -9 $$
""")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(ServerError, match="ended with code -9"):
        ask(SamplerProcess(model="tiny"), prompt=PROMPTS[0])
