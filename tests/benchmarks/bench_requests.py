"""What a request costs its client: requests per second of CPU, at 64 and at 256 under way.

    make bench NAME=requests

Both sides ask one server on this machine, which runs in a process of its own and answers at once. Three clients:
a whole rank (datatrove's runner made to lose nothing, the journal, the client with its retries), a bare loop over
aiohttp that reads JSON and stores nothing, and datatrove's own InferenceRunner without changes. Each trial is a
process of its own; trials of all clients take turns, and the median counts. (The file is not called
requests.py, which would stand in the way of the library of that name.)
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import pyarrow as pa
from _answering import listen
from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter

from stepforge.builders.parquet import count_rows
from stepforge.builders.tables import TEXT, Table, column
from stepforge.pipelines.inference.engines import payload_of
from stepforge.pipelines.inference.output import TableOutput, parts_path
from stepforge.pipelines.inference.runner import Request, Runner
from stepforge.pipelines.options.generators import EndpointGenerator

ROUNDS, REQUESTS, SAMPLES = 3, 6000, 20
SOLUTIONS = Table("solutions", ("solution",), pa.schema([column("solution", TEXT, "Text of the answer.")]))
PROMPT = "Ada has 3 apples. She buys 4 more and gives half of them away. How many apples does she have?\n"
ANSWER = json.dumps({
    "id": "x", "object": "text_completion", "model": "m",
    "choices": [{"index": 0, "text": "3 + 4 = 7\n7 is odd, so half of it is 3.5\n" * 8, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 120},
}).encode()


async def serve() -> None:
    server = await listen(lambda _: ANSWER)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def generator_at(url: str, under_way: int) -> EndpointGenerator:
    return EndpointGenerator(engine="endpoint", name="there", model="m", url=f"{url}/v1", concurrency=under_way)


def documents() -> list[Document]:
    return [Document(text=PROMPT, id=f"{number:032x}", metadata={"position": number})
            for number in range(REQUESTS // SAMPLES)]


def ours(url: str, under_way: int, folder: Path) -> None:
    generator = generator_at(url, under_way)

    async def rollout(document: Document, generate: Any) -> dict[str, list[dict]]:
        requests = [Request(f"{document.id}-{i}", payload_of(generator, PROMPT, i)) for i in range(SAMPLES)]
        answers = await asyncio.gather(*map(generate, requests))
        return {"solutions": [{"solution": completion.text} for completion, *_ in answers]}

    output = TableOutput(folder / "work", (SOLUTIONS,))
    Runner(rollout, generator, folder / "journal", output).run(iter(documents()), 0, 1)
    rows = count_rows(parts_path(folder / "work", "solutions") / "00000.parquet")
    assert rows == REQUESTS, rows


def datatroves(url: str, under_way: int, folder: Path) -> None:
    config = InferenceConfig(server_type="endpoint", endpoint_url=url, model_name_or_path="m", use_chat=False,
                             max_concurrent_generations=under_way, max_concurrent_documents=64,
                             server_ready_delay_sec=0.05)
    payload = payload_of(generator_at(url, under_way), PROMPT, 0)

    async def rollout(document: Document, generate: Any) -> list[str]:
        results = await asyncio.gather(*(generate({**payload, "seed": i}) for i in range(SAMPLES)))
        return [result.text for result in results]

    writer = JsonlWriter(str(folder / "out"), output_filename="${rank}_${chunk_index}.jsonl", compression=None)
    InferenceRunner(rollout, config, writer).run(iter(documents()), 0, 1)
    lines = sum(path.read_bytes().count(b"\n") for path in (folder / "out").glob("*.jsonl"))
    assert lines == REQUESTS // SAMPLES, lines


def bare(url: str, under_way: int, folder: Path) -> None:
    payload = payload_of(generator_at(url, under_way), PROMPT, 0)

    async def loop() -> None:
        left = iter(range(REQUESTS))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=under_way)) as session:
            async def worker() -> None:
                for seed in left:
                    async with session.post(f"{url}/v1/completions", json={**payload, "seed": seed}) as response:
                        assert (await response.json())["choices"][0]["text"]

            await asyncio.gather(*(worker() for _ in range(under_way)))

    asyncio.run(loop())


SIDES: dict[str, Callable[[str, int, Path], None]] = {"ours": ours, "bare": bare, "datatrove": datatroves}


def trial(side: str, under_way: int, url: str) -> float:
    """Requests per second of CPU, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, side, str(under_way), url], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side} at {under_way}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def main() -> None:
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        cases = [(side, under_way) for under_way in (64, 256) for side in SIDES]
        rates: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
        for _ in range(ROUNDS):
            for case in cases:
                rates[case].append(trial(*case, url))
    finally:
        server.kill()
    rate = {case: median(values) for case, values in rates.items()}
    result = {f"requests_per_cpu_s_{n}": rate["ours", n] for n in (64, 256)}
    result |= {f"{side}_per_cpu_s_{n}": rate[side, n] for side in ("bare", "datatrove") for n in (64, 256)}
    result |= {"ratio_bare": rate["bare", 64] / rate["ours", 64],
               "ratio_bare_256": rate["bare", 256] / rate["ours", 256],
               "ratio_256_to_64": rate["ours", 256] / rate["ours", 64],
               "ratio_datatrove": rate["ours", 64] / rate["datatrove", 64],
               "ratio_datatrove_256": rate["ours", 256] / rate["datatrove", 256]}
    print(f"{'requests per CPU second':28}{'at 64':>10}{'at 256':>10}")
    for side in SIDES:
        print(f"{side:28}{rate[side, 64]:10.0f}{rate[side, 256]:10.0f}")
    for name in ("ratio_bare", "ratio_256_to_64", "ratio_datatrove"):
        print(f"{name:28}{result[name]:10.2f}")
    Path("build/bench/requests.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    elif len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as scratch:
            started = time.process_time()
            SIDES[sys.argv[1]](sys.argv[3], int(sys.argv[2]), Path(scratch))
            sys.stdout.write(f"\n{REQUESTS / (time.process_time() - started):.1f}\n")
            sys.stdout.flush()
        os._exit(0)
    else:
        main()
