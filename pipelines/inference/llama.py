"""A Llama-type model for the CPU: the few operations themselves, over shapes that never change.

In: a folder or Hub id that transformers can load. Out: next-token logits, by `prefill` (one prompt) and `decode` (one
token for each of a fixed number of slots). It exists for two reasons. At this size the generic forward of transformers
is mostly overhead. And a sampler whose text must not depend on its neighbours needs arithmetic that does not either:
`decode` always computes every slot over the whole context, `prefill` pads to a length that the prompt alone decides,
so no sum is ever taken in another order because of what else is running.
"""

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.models import SHIPPED, load_tokenizer

PREFILL_BLOCK = 32  # prompts are padded to a multiple of it


class Files(NamedTuple):
    """What the files of a model hold. `frequencies` (head_dim / 2,) rotate the positions, `scaling` their cosines."""

    config: Any
    weights: Mapping[str, Tensor]
    eos: int | list[int] | None
    frequencies: Tensor
    scaling: float


def shipped() -> Files:
    """The tiny model, read directly: transformers takes longer to import than the model takes to write a solution."""
    from safetensors.torch import load_file

    config = SimpleNamespace(**json.loads((SHIPPED / "config.json").read_bytes()))
    weights = {name: tensor.float() for name, tensor in load_file(SHIPPED / "model.safetensors").items()}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]  # they are tied
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float) / config.head_dim
    frequencies = 1.0 / config.rope_parameters["rope_theta"] ** exponents
    return Files(config, weights, config.eos_token_id, frequencies, 1.0)


def by_transformers(model: str) -> Files:
    """Raises UserError for a model that cannot be found or is not of the Llama type."""
    from transformers import AutoModelForCausalLM

    try:
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    except OSError as error:
        raise UserError(f"embedded engine: model {model!r} cannot be loaded: {error}") from error
    if loaded.config.model_type != "llama":
        raise UserError(
            f"embedded engine: model {model!r} is of type {loaded.config.model_type!r}; allowed is 'llama'; "
            "serve other models with the vllm engine"
        )
    weights = {name: tensor.detach() for name, tensor in loaded.state_dict().items()}
    weights["lm_head.weight"] = loaded.lm_head.weight.detach()
    rotary = loaded.model.rotary_emb  # its frequencies hold whatever scaling the config asks for
    return Files(loaded.config, weights, loaded.generation_config.eos_token_id, rotary.inv_freq.float(),
                 rotary.attention_scaling)


class Llama:
    """Weights in float32 and the forward passes; `context` is the greatest number of tokens, prompt included.

    Raises UserError for a model that cannot be found or is not of the Llama type, whose operations these are.
    """

    def __init__(self, model: str, context: int | None = None) -> None:
        config, weights, eos, frequencies, scaling = shipped() if model == "tiny" else by_transformers(model)
        self.tokenizer = load_tokenizer(model)
        self.context = min(context or config.max_position_embeddings, config.max_position_embeddings)
        self.vocab_size, self.layers = config.vocab_size, config.num_hidden_layers
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.eps = config.rms_norm_eps
        self.eos_ids = frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])

        self.embedding, self.norm = weights["model.embed_tokens.weight"], weights["model.norm.weight"]
        self.head = weights["lm_head.weight"].t()
        self.blocks = [self._block(weights, f"model.layers.{i}.") for i in range(self.layers)]
        angles = torch.outer(torch.arange(self.context).float(), frequencies).repeat(1, 2)
        self.cos, self.sin = angles.cos() * scaling, angles.sin() * scaling

    @staticmethod
    def _block(weights: Mapping[str, Tensor], at: str) -> tuple[Tensor, ...]:
        """Norm, query+key+value, output, norm, gate+up, down: every matrix as (in, out)."""

        def joined(*names: str) -> Tensor:
            return torch.cat([weights[f"{at}{name}.weight"] for name in names]).t()

        return (
            weights[f"{at}input_layernorm.weight"],
            joined("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            joined("self_attn.o_proj"),
            weights[f"{at}post_attention_layernorm.weight"],
            joined("mlp.gate_proj", "mlp.up_proj"),
            joined("mlp.down_proj"),
        )

    def new_cache(self, slots: int) -> tuple[Tensor, Tensor]:
        """Keys and values, each (layers, slots, kv_heads, context, head_dim)."""
        shape = (self.layers, slots, self.kv_heads, self.context, self.head_dim)
        return torch.zeros(shape), torch.zeros(shape)

    def prefill(self, ids: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits after `ids` (vocab_size,), then keys and values (layers, kv_heads, len(ids), head_dim)."""
        padded = min(-(-len(ids) // PREFILL_BLOCK) * PREFILL_BLOCK, self.context)
        x = self.embedding[torch.tensor(ids + [0] * (padded - len(ids)))]
        cos, sin = self.cos[None, :padded], self.sin[None, :padded]
        mask = torch.ones(padded, padded).triu(1).bool()
        keys, values = [], []

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # (padded, heads, head_dim)
            q, k, v = (turn(q.transpose(0, 1), cos, sin), turn(k.transpose(0, 1), cos, sin), v.transpose(0, 1))
            keys.append(k[:, : len(ids)].clone())
            values.append(v[:, : len(ids)].clone())
            k, v = (t.repeat_interleave(self.heads // self.kv_heads, 0) for t in (k, v))
            scores = torch.bmm(q, k.transpose(1, 2)) * self.head_dim**-0.5
            return torch.bmm(scores.masked_fill(mask, -torch.inf).softmax(-1), v).transpose(0, 1)

        for block in self.blocks:
            x = self.layer(x, block, attend)
        last = F.rms_norm(x, x.shape[-1:], self.norm, self.eps)[len(ids) - 1 : len(ids)]
        return (last @ self.head)[0], torch.stack(keys), torch.stack(values)

    def decode(self, ids: Tensor, positions: Tensor, cache: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (slots, vocab_size) after `ids` (slots,) at `positions` (slots,), written into `cache`."""
        slots = len(ids)
        rows = torch.arange(slots)
        cos, sin = self.cos[positions, None], self.sin[positions, None]
        future = torch.arange(self.context)[None, :] > positions.repeat_interleave(self.kv_heads)[:, None]
        mask = torch.zeros(future.shape).masked_fill(future, -torch.inf)[:, None]
        x = self.embedding[ids]
        layers = iter(zip(*cache, strict=True))

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # (slots, heads, head_dim)
            keys, values = next(layers)  # (slots, kv_heads, context, head_dim)
            keys[rows, :, positions], values[rows, :, positions] = turn(k, cos, sin), v
            q = turn(q, cos, sin).reshape(slots * self.kv_heads, self.heads // self.kv_heads, self.head_dim)
            scores = torch.baddbmm(mask, q, keys.flatten(0, 1).transpose(1, 2), alpha=self.head_dim**-0.5)
            return torch.bmm(scores.softmax(-1), values.flatten(0, 1)).view(slots, self.heads, self.head_dim)

        for block in self.blocks:
            x = self.layer(x, block, attend)
        return F.rms_norm(x, x.shape[-1:], self.norm, self.eps) @ self.head

    def layer(
        self, x: Tensor, block: tuple[Tensor, ...], attend: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> Tensor:
        norm_1, qkv, output, norm_2, gate_up, down = block
        split = [self.heads, self.kv_heads, self.kv_heads]
        h = F.rms_norm(x, x.shape[-1:], norm_1, self.eps) @ qkv
        q, k, v = h.view(len(x), -1, self.head_dim).split(split, 1)
        x = x + attend(q, k, v).reshape(len(x), -1) @ output
        gate, up = (F.rms_norm(x, x.shape[-1:], norm_2, self.eps) @ gate_up).chunk(2, -1)
        return x + (F.silu(gate) * up) @ down


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of the last axis, in two halves (RoFormer, arXiv 2104.09864, section 3.4)."""
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin
