"""Samples a small Llama-type model in large batches: what a study spends most of its time on.

In: a model's folder, prompts, a temperature and a seed. Out: of every prompt one text, and whether the model ended it.
Prompts of one length are computed together, so that nothing is padded or masked; equal prompts are read once; rows
that have ended leave the batch. Every draw comes from a seed
that is hashed from the caller's, so a study that is stopped and started again gives the same texts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stepforge.builders.tables import derive_seed
from stepforge.pipelines.inference.llama import Llama, turn

ROWS = {"cpu": 256}  # computed together; on a CPU more of them fall out of its caches
MOST_ROWS = 4096     # elsewhere


class Text(NamedTuple):
    """What a model wrote after a prompt, and whether it ended by itself."""

    text: str
    complete: bool


class Policy(Llama):
    """A model in a folder, loaded to be sampled from; counts the tokens that it writes."""

    def __init__(self, folder: Path, device: str, max_tokens: int) -> None:
        super().__init__(str(folder))
        self.folder = folder
        self.max_tokens, self.generated_tokens, self.device = max_tokens, 0, torch.device(device)
        self.embedding, self.norm, self.head, self.cos, self.sin = (
            tensor.to(device) for tensor in (self.embedding, self.norm, self.head, self.cos, self.sin))
        self.parameters = self.embedding.numel() + self.norm.numel() + sum(
            tensor.numel() for block in self.blocks for tensor in block)
        self.blocks = [tuple(tensor.to(device).contiguous() for tensor in block) for block in self.blocks]

    @torch.inference_mode()
    def complete(self, prompts: Sequence[str], temperature: float, seed: int) -> list[Text]:
        """One completion of every prompt; temperature 0 is greedy. The same prompts and seed give the same texts."""
        ids: list[list[int]] = self.tokenizer(list(prompts)).input_ids if prompts else []
        order = sorted(range(len(ids)), key=lambda index: (len(ids[index]), ids[index]))
        completed = [Text("", False)] * len(ids)
        rows = ROWS.get(self.device.type, MOST_ROWS)
        start = 0
        while start < len(order):
            length = len(ids[order[start]])
            chosen = [index for index in order[start:start + rows] if len(ids[index]) == length]
            generator = torch.Generator(self.device).manual_seed(derive_seed(seed, start) % 2**63)
            written = self._continue([ids[index] for index in chosen], temperature, generator)
            texts = self.tokenizer.batch_decode([row for row, _ in written])
            for index, text, (row, ended) in zip(chosen, texts, written, strict=True):
                completed[index] = Text(text, ended)
                self.generated_tokens += len(row) + ended
            start += len(chosen)
        return completed

    def _continue(
        self, prompts: list[list[int]], temperature: float, generator: torch.Generator
    ) -> list[tuple[list[int], bool]]:
        """The tokens after each of `prompts`, all of one length, equal ones side by side, up to EOS or the limit."""
        length, limit = len(prompts[0]), min(self.max_tokens, self.context - len(prompts[0]))
        logits, keys, values = self._read(prompts, limit)
        written: list[list[int]] = [[] for _ in prompts]
        ended = [False] * len(prompts)
        active = list(range(len(prompts)))
        for position in range(length, length + limit):
            tokens = _draw(logits, temperature, generator)
            going = []
            for place, (row, token) in enumerate(zip(active, tokens.tolist(), strict=True)):
                if token in self.eos_ids:
                    ended[row] = True
                else:
                    written[row].append(token)
                    going.append(place)
            if not going or position == length + limit - 1:
                break
            if len(going) < len(active):
                kept = torch.tensor(going, device=self.device)
                tokens, keys, values = tokens[kept], keys[:, kept], values[:, kept]
                active = [active[place] for place in going]
            logits = self._step(tokens, position, keys, values)
        return list(zip(written, ended, strict=True))

    def _read(self, prompts: list[list[int]], limit: int) -> tuple[Tensor, Tensor, Tensor]:
        """Logits after each prompt, then keys and values (layers, rows, kv_heads, length + limit, head_dim)."""
        ids, copies = torch.unique_consecutive(
            torch.tensor(prompts, device=self.device), return_counts=True, dim=0)
        rows, length = ids.shape
        cos, sin = self.cos[:length], self.sin[:length]
        shape = (self.layers, len(prompts), self.kv_heads, length + limit, self.head_dim)
        keys, values = (torch.empty(shape, device=self.device) for _ in range(2))
        layers = iter(zip(keys, values, strict=True))

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # (rows * length, heads, head_dim)
            q, k, v = (part.reshape(rows, length, -1, self.head_dim).transpose(1, 2) for part in (q, k, v))
            q, k = turn(q, cos, sin), turn(k, cos, sin)
            for cache, part in zip(next(layers), (k, v), strict=True):
                cache[:, :, :length] = part.repeat_interleave(copies, 0)
            k, v = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (k, v))
            return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(0, 1)

        x = self.embedding[ids.flatten()]
        for block in self.blocks:
            x = self.layer(x, block, attend)
        last = F.rms_norm(x.view(rows, length, -1)[:, -1], x.shape[-1:], self.norm, self.eps)
        return (last @ self.head).repeat_interleave(copies, 0), keys, values

    def _step(self, tokens: Tensor, position: int, keys: Tensor, values: Tensor) -> Tensor:
        """Logits after one more token of every row, all at `position`; their keys and values are written down."""
        rows, cos, sin = len(tokens), self.cos[position], self.sin[position]
        layers = iter(zip(keys, values, strict=True))

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # (rows, heads, head_dim)
            cached_keys, cached_values = next(layers)
            cached_keys[:, :, position], cached_values[:, :, position] = turn(k, cos, sin), v
            q = turn(q, cos, sin).reshape(rows * self.kv_heads, -1, self.head_dim)
            seen = slice(position + 1)
            scores = torch.bmm(q, cached_keys.flatten(0, 1)[:, seen].transpose(1, 2)) * self.head_dim**-0.5
            return torch.bmm(scores.softmax(-1), cached_values.flatten(0, 1)[:, seen])

        x = self.embedding[tokens]
        for block in self.blocks:
            x = self.layer(x, block, attend)
        return F.rms_norm(x, x.shape[-1:], self.norm, self.eps) @ self.head


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """The next token of every row (rows,)."""
    if not temperature:
        return logits.argmax(-1)
    heights = (logits / temperature).softmax(-1).cumsum(-1)
    draws = torch.rand(len(logits), 1, generator=generator, device=logits.device) * heights[:, -1:]
    return torch.searchsorted(heights, draws, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
