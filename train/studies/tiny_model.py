"""python -m stepforge.train.studies.tiny_model [--out FOLDER] [--steps 800] [--seed 0] [--width 128] [--layers 4]

Makes the tiny model that the embedded engine ships: a Llama of 0.86 million parameters and its tokenizer, trained from
nothing on our own arithmetic problems (split `train`, 2 to 6 steps), in some 16 minutes on one core. Every batch is
new problems, none is seen twice. Prompt template: `{problem}\\n`, then the solution, then `</s>`; no `<s>` is used.

Out: FOLDER with config.json, model.safetensors (float16), tokenizer.json, tokenizer_config.json and TRAINING.json: the
recipe, the loss, and how often the saved model is right on held-out wordings, with the first wrong step of its wrong
solutions. It is stopped early on purpose: a policy that is right half the time is what the pipeline is for.
"""

import argparse
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from loguru import logger
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from stepforge.builders.sources.arithmetic import generate
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.pipelines.inference.sampler import BatchSampler

STEPS_OF_PROBLEMS = (2, 6)
BATCH, CHUNK = 64, 16  # problems a batch; batches sorted by length together, so that little is padding
PEAK_MATRICES, PEAK_REST = 0.025, 0.002  # learning rates of Muon and of AdamW
PROMPT = "{problem}\n"
# A newline and a digit are tokens of their own; a word keeps its space, and the one behind it where a digit follows
WORDS = r"\n|\d| ?[^\W\d_]+(?: (?=\d))?| ?[^\w\s]+(?: (?=\d))?|\s+|_"
EQUATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")


def make_tokenizer(texts: list[str], vocab_size: int = 1024, words: str = WORDS) -> PreTrainedTokenizerFast:
    """Byte-level BPE within our words: any text can be encoded, and decoding gives it back exactly."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(words), "isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    pad, bos, eos = special
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos, model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def make_model(tokenizer: PreTrainedTokenizerFast, width: int = 128, layers: int = 4) -> LlamaForCausalLM:
    """Heads of width 32; a key head serves two query heads, which halves what sampling must read."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=width * 11 // 4, num_hidden_layers=layers,
            num_attention_heads=width // 32, num_key_value_heads=width // 64, head_dim=32, max_position_embeddings=256,
            tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip


def batches(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (tokens, targets), each (BATCH, longest); a target is -100 where the prompt or padding comes next."""
    order, size = random.Random(seed), BATCH * CHUNK
    offset = 0
    while True:
        pairs = []
        for row in generate(size, seed, "train", STEPS_OF_PROBLEMS, offset=offset):
            prompt = tokenizer(PROMPT.format(**row)).input_ids
            pairs.append((prompt, [*tokenizer(row["reference_solution"]).input_ids, tokenizer.eos_token_id]))
        offset += size
        pairs.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        groups = [pairs[at : at + BATCH] for at in range(0, size, BATCH)]
        order.shuffle(groups)
        for group in groups:
            longest = max(len(prompt) + len(solution) for prompt, solution in group)
            tokens, targets = torch.zeros(BATCH, longest, dtype=torch.long), torch.full((BATCH, longest), -100)
            for at, (prompt, solution) in enumerate(group):
                end = len(prompt) + len(solution)
                tokens[at, :end] = torch.tensor(prompt + solution)
                targets[at, len(prompt) - 1 : end - 1] = torch.tensor(solution)
            yield tokens, targets


class Muon(torch.optim.Optimizer):
    """Momentum whose every update is made orthogonal (K. Jordan et al., "Muon", 2024), in float32.

    After 300 steps the loss was 0.34, with AdamW alone 0.75. `torch.optim.Muon` works in bfloat16, which a CPU without
    units for it does slowly: a step took as long as the forward and backward passes together.
    """

    def __init__(self, matrices: list[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                average = state.setdefault("average", torch.zeros_like(matrix))
                average.lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonal(matrix.grad.lerp(average, group["momentum"]))
                matrix.sub_(update, alpha=group["lr"] * math.sqrt(max(1, matrix.shape[0] / matrix.shape[1])))


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, about: five Newton-Schulz iterations with Muon's coefficients."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> list[float]:
    """Trains on the solutions' tokens; returns the loss of every step. Rates rise over 60 steps, fall after 30 %."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    rest = [p for name, p in model.named_parameters() if p.ndim == 1 or "layers" not in name]
    optimizers = [Muon(matrices, PEAK_MATRICES), torch.optim.AdamW(rest, PEAK_REST, (0.9, 0.98), weight_decay=0)]
    rates = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda s: min(1, (s + 1) / 60, max(0.05, (1 - s / steps) / 0.7)))
        for o in optimizers
    ]
    losses, began = [], time.monotonic()
    for step, (tokens, targets) in enumerate(islice(batches(tokenizer, seed), steps), 1):
        hidden = model.model(input_ids=tokens).last_hidden_state
        loss = F.cross_entropy(model.lm_head(hidden[targets != -100]), targets[targets != -100])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.step()
            rate.step()
        model.zero_grad()
        losses.append(loss.item())
        if step % 50 == 0:
            seconds = time.monotonic() - began
            logger.info(f"step {step}/{steps}, loss {sum(losses[-50:]) / 50:.4f}, {seconds:.0f} s")
    return losses


def first_wrong_step(solution: str, reference: str) -> int | None:
    """The first line, from 0, whose equation is not the reference's (sums and products may be turned round)."""

    def key(line: str) -> tuple[str, ...]:
        equation = EQUATION.search(line)
        if not equation:
            return (line.strip(),)
        left, operator, right, result = equation.groups()
        return (operator, *(sorted((left, right)) if operator in "+*" else (left, right)), result)

    ours, theirs = solution.split("\n"), reference.split("\n")
    for at, expected in enumerate(theirs):
        if at >= len(ours) or key(ours[at]) != key(expected):
            return at
    return len(theirs) if len(ours) > len(theirs) else None


def evaluate(folder: Path, count: int, temperature: float, seed: int = 0) -> dict[str, Any]:
    """How often one sample a problem is right on held-out problems of 3 to 6 steps, and where the others go wrong."""
    rows = list(generate(count, seed, "test"))
    sampler = BatchSampler(str(folder))
    payloads = ({"prompt": PROMPT.format(**r), "seed": i, "temperature": temperature} for i, r in enumerate(rows))
    answers = [future.result()["choices"][0] for future in [sampler.submit(payload) for payload in payloads]]
    right, total, wrong_at = Counter[str](), Counter[str](), Counter[str]()
    for row, choice in zip(rows, answers, strict=True):
        total[row["level"]] += 1
        if choice["text"].endswith(f"The answer is {row['answer']}."):
            right[row["level"]] += 1
        else:
            step = first_wrong_step(choice["text"], row["reference_solution"])
            wrong_at[f"{step} of {row['level']}"] += 1
    return {
        "problems": count,
        "temperature": temperature,
        "right": sum(right.values()) / count,
        "right_by_steps": {level: right[level] / total[level] for level in sorted(total)},
        "not_ended": sum(choice["finish_reason"] == "length" for choice in answers) / count,
        "first_wrong_step": dict(sorted(wrong_at.items(), key=lambda item: item[0][::-1])),
    }


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Weights in float16 for size; the config asks for float32, so that whoever loads them computes in that."""
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # it is written readable by its owner alone
    for name, change in (
        ("config.json", {"dtype": "float32"}),
        ("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"}),  # known to older releases too
    ):
        config = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(config | change, indent=2, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder of the model (default: the shipped one)")
    parser.add_argument("--steps", type=int, default=800, help="optimizer steps, 64 problems each (default: 800)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the problems (default: 0)")
    parser.add_argument("--width", type=int, default=128, help="of a layer, a multiple of 64 (default: 128)")
    parser.add_argument("--layers", type=int, default=4, help="how many (default: 4)")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the same sums in the same order on every machine of a kind
    torch.manual_seed(options.seed)
    rows = generate(6000, options.seed, "train", STEPS_OF_PROBLEMS)
    tokenizer = make_tokenizer([PROMPT.format(**row) + row["reference_solution"] for row in rows])
    model = make_model(tokenizer, options.width, options.layers)
    began = time.monotonic()
    losses = train(model, tokenizer, options.steps, options.seed)
    minutes = (time.monotonic() - began) / 60
    save(model, tokenizer, options.out)
    report = {
        "made_by": "python -m stepforge.train.studies.tiny_model",
        "seed": options.seed,
        "prompt_template": PROMPT,
        "parameters": model.num_parameters(),
        "optimizer_steps": options.steps,
        "problems_seen": options.steps * BATCH,
        "minutes": round(minutes, 1),
        "loss_every_50_steps": [round(sum(losses[at : at + 50]) / 50, 4) for at in range(0, options.steps, 50)],
        "held_out": [evaluate(options.out, 2000, temperature) for temperature in (0.7, 0.0)],
    }
    (options.out / "TRAINING.json").write_text(json.dumps(report, indent=2) + "\n")
    logger.info(json.dumps(report["held_out"], indent=2))


if __name__ == "__main__":
    main()
