"""Prefixes as the tokens that the model wrote, so that a rollout goes on from exactly where the model was.

In: a solution's text and token ids, and the ends of its steps. Out: for every step that ends where a token ends, the
ids up to there. A text tokenised anew may be cut into other tokens than the model wrote, which is a slightly other
prefix; steps that end within a token, and texts of other models, are continued that way and marked.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stepforge.builders.files import replacing
from stepforge.pipelines.inference.models import load_tokenizer
from stepforge.pipelines.options.generators import EmbeddedGenerator, VllmGenerator, Writer

BEHIND = 8  # tokens of the prompt to decode with: some tokenizers drop a space at the start of a text
OURS = ("__call__", "_encode_plus", "decode", "_decode")  # what turns texts into ids and back


class Tokens(NamedTuple):
    """How the engine turns a text into ids, and how ids are read, without special tokens."""

    encode: Callable[[str], list[int]]
    decode: Callable[[list[int]], str]


def prefix_ids(tokens: Tokens | None, prompt: str, text: str, ids: Sequence[int] | None, ends: Iterable[int]
               ) -> dict[str, list[int]]:
    """Text of a prefix to the ids of prompt and prefix, for those of `ends` (offsets) where a token ends.

    Nothing where the ids or the tokenizer are not known.
    """
    if not ids or tokens is None:
        return {}
    start = tokens.encode(prompt)
    before = tokens.decode(start[-BEHIND:])

    def read(count: int) -> str:
        return tokens.decode([*start[-BEHIND:], *ids[:count]])[len(before):]

    cuts = ((text[:end], _count(read, end, len(ids))) for end in ends)
    return {prefix: [*start, *ids[:count]] for prefix, count in cuts if read(count) == prefix}


def tokens_of(generator: Writer, kept: Path | None = None) -> Tokens | None:
    """Those of the engine; none where its tokenizer is not certain to be at hand: that of an endpoint, one that vLLM
    was told by its arguments, and one that cannot be loaded here (vLLM may have a Python of its own, beside one
    without transformers).

    kept: what `keep` wrote, if it did.
    """
    if kept is not None and kept.is_file():
        from tokenizers import Tokenizer

        plain = Tokenizer.from_file(str(kept))
        return Tokens(lambda text: list(plain.encode(text).ids), plain.decode)
    if (tokenizer := tokenizer_of(generator)) is None:
        return None
    return Tokens(lambda text: list(tokenizer(text).input_ids),
                  lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True)))


def keep(generator: Writer, path: Path) -> None:
    """Write the engine's tokenizer to a file for `tokens_of`, where the library `tokenizers` alone does the same.

    A rank that reads the file need not import transformers, which takes five seconds of CPU with PyTorch.
    """
    tokenizer = tokenizer_of(generator)
    if tokenizer is None or not _is_plain(tokenizer):
        return
    from tokenizers import Tokenizer

    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    with replacing(path) as temporary:
        plain.save(str(temporary))


def _is_plain(tokenizer: Any) -> bool:
    """Whether transformers adds nothing of its own to what the tokenizer of the library `tokenizers` does."""
    from transformers import PreTrainedTokenizerFast

    return (isinstance(tokenizer, PreTrainedTokenizerFast)
            and all(getattr(type(tokenizer), name) is getattr(PreTrainedTokenizerFast, name) for name in OURS)
            and not tokenizer.clean_up_tokenization_spaces and not tokenizer.split_special_tokens)


def tokenizer_of(generator: Writer) -> Any:
    """The tokenizer of transformers that the engine uses; none where it is not certain to be at hand."""
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
