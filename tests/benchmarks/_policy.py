"""A policy that answers at once, in the place of a Python that has vLLM: python _policy.py ... --host H --port P.

In: requests for completions of the problems of scale.py, whole or behind some steps, as text or as the tiny model's
tokens. Out: solutions of five lines, of about 60 tokens, that go wrong in 8% of their steps and are not mended. The
text depends on the prompt and the seed alone. Its CPU seconds go into the file that POLICY_CPU names when it ends.
"""

import asyncio
import os
import re
import signal
import sys
import time
from typing import Any

import orjson
from _answering import listen
from tokenizers import Tokenizer

from stepforge.pipelines.inference.models import SHIPPED

WRONG = 0.08
START, MORE, LINE = re.compile(r"starts with (\d+)"), re.compile(r"(\d+) more"), re.compile(r"= (-?\d+)\.")
TOKENIZER = Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))
MODELS = orjson.dumps({"data": [{"id": "model", "max_model_len": 1024}]})


def continuation(prompt: str, seed: int) -> str:
    """The rest of a solution."""
    problem, _, before = prompt.partition("\n")
    parts = MORE.findall(problem)
    lines = before.count("\n")
    values = LINE.findall(before)
    value = int(values[-1] if values else START.search(problem)[1])  # type: ignore[index]
    written = []
    for number, part in enumerate(parts[lines:], lines):
        wrong = hash((seed, number, 11)) % 1000 < 1000 * WRONG
        written.append(f"That makes {value} + {part} = {(value := value + int(part) + wrong)}.\n")
    return "".join([*written, f"The answer is {value}."])


def answer(body: dict[str, Any]) -> bytes:
    prompt = body["prompt"]
    text = prompt if isinstance(prompt, str) else TOKENIZER.decode(prompt)
    texts = [continuation(text, body["seed"] + index) for index in range(body["n"])]
    tokens = [[*encoding.ids, 0] for encoding in TOKENIZER.encode_batch(texts)]
    return orjson.dumps({
        "choices": [{"index": index, "text": written, "finish_reason": "stop", "stop_reason": None, "token_ids": ids}
                    for index, (written, ids) in enumerate(zip(texts, tokens, strict=True))],
        "usage": {"prompt_tokens": len(text) // 3 if isinstance(prompt, str) else len(prompt),
                  "completion_tokens": sum(map(len, tokens))}})


def end(*_: object) -> None:
    with open(os.environ["POLICY_CPU"], "a") as file:
        file.write(f"{time.process_time()}\n")
    os._exit(0)


async def main() -> None:
    signal.signal(signal.SIGTERM, end)
    port = int(sys.argv[sys.argv.index("--port") + 1])
    server = await listen(lambda body: answer(orjson.loads(body)) if body else MODELS, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
