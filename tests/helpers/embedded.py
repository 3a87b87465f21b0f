"""Requests to the embedded engine."""

from typing import Any

from stepforge.builders.sources.arithmetic import generate
from stepforge.pipelines.inference.embedded import SamplerProcess
from stepforge.pipelines.inference.sampler import BatchSampler

PROMPTS = [f"{row['problem']}\n" for row in generate(16, 0, "test")]


def ask(sampler: BatchSampler | SamplerProcess, **payload: Any) -> dict[str, Any]:
    return sampler.submit(payload).result(timeout=120)


def crowd(size: int) -> list[dict[str, Any]]:
    """Payloads that differ in prompt, seed and every setting."""
    settings: list[dict[str, Any]] = [{"temperature": 0.7}, {"temperature": 1.0, "top_p": 0.9}, {"temperature": 0.0},
                {"temperature": 1.5, "top_k": 5}, {"temperature": 0.7, "stop": ["\n"]}]  # fmt: skip
    return [
        {"prompt": PROMPTS[i % 16], "seed": i, "max_tokens": 20 + i % 70, **settings[i % len(settings)]}
        for i in range(size)
    ]
