"""A writer of problems for tests: the shipped model, taught in half a minute to write a problem after another one."""

from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from stepforge.builders.sources.arithmetic import generate
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.train.studies.tiny_model import Muon

PROMPT = "{{ problem }}\nNew problem:\n"
BATCH = 8


def pairs(count: int, theme: str, seed: int = 1) -> list[tuple[str, str]]:
    """`count` problems of a theme and, as the text to write, the next one."""
    rows = (row["problem"] for row in generate(count * 20, seed, "train", (2, 3), 30) if row["subject"] == theme)
    texts = [next(rows) for _ in range(count + 1)]
    return [(f"{one}\nNew problem:\n", other) for one, other in zip(texts, texts[1:], strict=False)]


def make_writer(folder: Path, steps: int = 160, theme: str = "money") -> list[float]:
    """Train the shipped model on `pairs` and save it; returns the loss of every step.

    After 160 steps (24 s of one core) about two drafts in three are problems with an answer.
    """
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32)
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    rest = [p for name, p in model.named_parameters() if p.ndim == 1 or "layers" not in name]
    optimizers = [Muon(matrices, 0.02), torch.optim.AdamW(rest, 0.002, (0.9, 0.98), weight_decay=0)]
    rates = [torch.optim.lr_scheduler.LambdaLR(o, lambda s: min(1, (s + 1) / 10, max(0.02, 1.4 * (1 - s / steps))))
             for o in optimizers]
    rows, losses = pairs(steps * BATCH, theme), []
    for step in range(steps):
        texts = [(tokenizer(a).input_ids, [*tokenizer(b).input_ids, tokenizer.eos_token_id])
                 for a, b in rows[step * BATCH:(step + 1) * BATCH]]
        longest = max(len(a) + len(b) for a, b in texts)
        tokens, targets = torch.zeros(BATCH, longest, dtype=torch.long), torch.full((BATCH, longest), -100)
        for at, (prompt, written) in enumerate(texts):
            end = len(prompt) + len(written)
            tokens[at, :end] = torch.tensor(prompt + written)
            targets[at, len(prompt) - 1:end - 1] = torch.tensor(written)
        loss = F.cross_entropy(model(input_ids=tokens).logits[targets != -100], targets[targets != -100])
        loss.backward()
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.step()
            rate.step()
        model.zero_grad()
        losses.append(loss.item())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return losses
