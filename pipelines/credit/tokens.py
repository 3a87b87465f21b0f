"""Prefixes as the tokens that the model wrote, so that a rollout goes on from exactly where the model was.

In: a solution's text and token ids, and the ends of its steps. Out: for every step that ends where a token ends, the
ids up to there. A text tokenised anew may be cut into other tokens than the model wrote, which is a slightly other
prefix; steps that end within a token, and texts of other models, are continued that way and marked.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from stepforge.pipelines.inference.models import load_tokenizer
from stepforge.pipelines.options.generators import EmbeddedGenerator, VllmGenerator, Writer

BEHIND = 8  # tokens of the prompt to decode with: some tokenizers drop a space at the start of a text


def prefix_ids(generator: Writer, prompt: str, text: str, ids: Sequence[int] | None, ends: Iterable[int]
               ) -> dict[str, list[int]]:
    """Text of a prefix to the ids of prompt and prefix, for those of `ends` (offsets) where a token ends.

    Nothing where the ids are not known, or the engine's tokenizer is not: that of an endpoint, one that vLLM was told
    by its arguments, and one that cannot be loaded here (vLLM may have a Python of its own, beside one without
    transformers).
    """
    tokenizer = tokenizer_of(generator) if ids else None
    if not ids or tokenizer is None:
        return {}
    start: list[int] = tokenizer(prompt).input_ids
    before = tokenizer.decode(start[-BEHIND:], skip_special_tokens=True)

    def read(count: int) -> str:
        return str(tokenizer.decode([*start[-BEHIND:], *ids[:count]], skip_special_tokens=True))[len(before):]

    cuts = ((text[:end], _count(read, end, len(ids))) for end in ends)
    return {prefix: [*start, *ids[:count]] for prefix, count in cuts if read(count) == prefix}


def tokenizer_of(generator: Writer) -> Any:
    """The tokenizer that the engine uses; none where it is not certain to be at hand."""
    if isinstance(generator, EmbeddedGenerator):
        return load_tokenizer(generator.model)
    if not isinstance(generator, VllmGenerator) or any(a.startswith("--tokenizer") for a in generator.arguments):
        return None
    return _loadable(generator.model, generator.revision)


@lru_cache(maxsize=8)
def _loadable(model: str, revision: str | None) -> Any:
    """The tokenizer of a model; none where it cannot be loaded, which is tried once."""
    try:
        return load_tokenizer(model, revision)
    except (ImportError, OSError, ValueError):
        return None


def _count(read: Callable[[int], str], end: int, most: int) -> int:
    """How many tokens reach the offset."""
    return bisect_left(range(most + 1), end, key=lambda count: len(read(count)))
