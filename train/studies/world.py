"""The small world of the studies: tasks whose answers are certain, and the small model that runs start from.

A task gives problems in the columns of the table `problems`, cuts solutions into steps and judges them. Models are
folders in transformers' format; sampling.py samples them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stepforge.builders.sources import arithmetic, star_graph
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.answers import Claim, Verifier
from stepforge.pipelines.credit.split import newline
from stepforge.pipelines.credit.split import path as path_elements
from stepforge.train.studies.sampling import Text
from stepforge.train.studies.tiny_model import Muon, make_tokenizer
from stepforge.train.tokens import encode, labelled

Row = dict[str, Any]
PHRASES = r"\n|\d|[^\d\n]+"  # a phrase may be one token, a digit always is: sequences of about 55 tokens, not 80
NUMBERS = r"\d+|[^\d]"  # a node of a graph is one token
VOCABULARY = 768


@dataclass(frozen=True)
class Task:
    """Problems by (count, seed, split), those that a base model has seen, the cut into steps, and the judge.

    `words` says what may be one token. `judge` takes (gold answer, solution) pairs and gives one bool each.
    """

    name: str
    problems: Callable[[int, int, str], Iterable[Row]]
    before: Callable[[int, int], Iterable[Row]]
    words: str
    steps: Callable[[str], list[str]]
    judge: Callable[[Sequence[tuple[str, str]]], list[bool]]
    max_tokens: int

    def draw(self, count: int, seed: int, split: str) -> list[Row]:
        """Distinct problems with their ids, prompts and reference solutions."""
        return prompted(self.problems(count, seed, split))

    def correct(self, problems: Sequence[Row], texts: Sequence[Text]) -> list[bool]:
        """Whether each text is a whole and correct solution of the problem beside it."""
        judged = self.judge([(row["answer"], text.text) for row, text in zip(problems, texts, strict=True)])
        return [good and text.complete for good, text in zip(judged, texts, strict=True)]


def stars(count: int, seed: int, split: str) -> Iterable[Row]:
    return star_graph.generate(count, seed, split, degree=2, path_length=3, nodes=20)


def walks(count: int, seed: int) -> Iterable[Row]:
    """Star graphs with a path along any arm: whoever learns from them follows edges and knows no goal."""
    follower = star_graph.Follower(fidelity=1.0)
    for index, row in enumerate(stars(count, seed, "train")):
        path = follower.complete(row["problem"], "", derive_seed(seed, "walk", index))
        yield row | {"answer": path, "reference_solution": path}


def prompted(rows: Iterable[Row]) -> list[Row]:
    made = [{"problem_id": content_id("problem", row["problem"], row["answer"]), "prompt": row["problem"] + "\n",
             "answer": row["answer"], "solution": row["reference_solution"]} for row in rows]
    return list({row["problem_id"]: row for row in made}.values())


def verified(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    with Verifier() as verifier:
        return [found.verdict == "correct" for found in verifier.verify_many(Claim(*pair) for pair in pairs)]


def exact(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    return [gold.strip() == text.strip() for gold, text in pairs]


TASKS = {
    "arithmetic": Task(
        "arithmetic",
        problems=lambda count, seed, split: arithmetic.generate(count, seed, split, steps=(2, 3), max_operand=12),
        before=lambda count, seed: arithmetic.generate(count, seed, "validation", steps=(1, 2), max_operand=12),
        words=PHRASES, steps=newline, judge=verified, max_tokens=56),
    "star_graph": Task(
        "star_graph", problems=stars, before=walks, words=NUMBERS, steps=path_elements, judge=exact, max_tokens=16),
}


def make_base(
    folder: Path, task: Task, updates: int, seed: int, device: str, width: int, layers: int, batch: int = 64,
    phrases: Sequence[str] = ()
) -> None:
    """A model that has seen `updates` batches of `task.before`; width 64 and 2 layers are 0.14 million parameters.

    It stands for the pretrained model of the papers: it knows the language and single steps, and fails the task. Its
    tokenizer has tokens of their own for `phrases`, which those problems do not hold.
    """
    drawn = prompted(task.before(updates * batch, derive_seed(seed, "easier")))
    texts = [row["prompt"] + row["solution"] for row in drawn[:3000]]
    tokenizer = make_tokenizer([*texts, *len(texts) * list(phrases)], VOCABULARY, task.words)
    torch.manual_seed(derive_seed(seed, "base", task.name))
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=width * 11 // 4, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=None, eos_token_id=tokenizer.eos_token_id)).to(device)
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    rest = [p for name, p in model.named_parameters() if p.ndim == 1 or "layers" not in name]
    optimizers = [Muon(matrices, 0.02), torch.optim.AdamW(rest, 2e-3, (0.9, 0.98), weight_decay=0)]
    for update in range(updates):
        rate = min(1.0, (update + 1) / 30, (1 - update / updates) / 0.5)
        chosen = [drawn[(update * batch + place) % len(drawn)] for place in range(batch)]
        found = [labelled(encode(tokenizer, row["prompt"], row["solution"], True)) for row in chosen]
        tensors = {key: _padded([row[key] for row in found], fill).to(device)
                   for key, fill in (("input_ids", tokenizer.pad_token_id), ("labels", -100))}
        model(**tensors).loss.backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimizer, peak in zip(optimizers, (0.02, 2e-3), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
            optimizer.step()
        model.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])
