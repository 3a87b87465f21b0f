"""The small world of the studies: tasks whose answers are certain, a model of 0.27 million parameters, its samples.

A task gives problems in the columns of the table `problems`, cuts solutions into steps and judges them. Models are
folders in transformers' format. `complete` samples a model in large batches; every draw comes from a seed that is
hashed from what is drawn, so a study that is stopped and started again gives the same texts.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from stepforge.builders.sources import arithmetic, star_graph
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.answers import Claim, Verifier
from stepforge.pipelines.credit.split import newline
from stepforge.pipelines.credit.split import path as path_elements
from stepforge.pipelines.inference.models import SHIPPED
from stepforge.train.studies.tiny_model import Muon
from stepforge.train.tokens import encode, labelled, load_tokenizer

Row = dict[str, Any]


class Text(NamedTuple):
    """What a model wrote after a prompt, and whether it ended by itself."""

    text: str
    complete: bool


@dataclass(frozen=True)
class Task:
    """Problems by (count, seed, split), easier ones to make a base model from, the cut into steps, and the judge.

    `judge` takes (gold answer, solution) pairs and gives one bool each.
    """

    name: str
    problems: Callable[[int, int, str], Iterable[Row]]
    easier: Callable[[int, int], Iterable[Row]]
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


def stars(count: int, seed: int, split: str, degree: int, path_length: int) -> Iterable[Row]:
    return star_graph.generate(count, seed, split, degree, path_length, 30)


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
        problems=lambda count, seed, split: arithmetic.generate(count, seed, split, steps=(3, 4), max_operand=30),
        easier=lambda count, seed: arithmetic.generate(count, seed, "validation", steps=(1, 3), max_operand=30),
        steps=newline, judge=verified, max_tokens=80),
    "star_graph": Task(
        "star_graph",
        problems=lambda count, seed, split: stars(count, seed, split, 3, 4),
        easier=lambda count, seed: stars(count, seed, "train", 2, 3),
        steps=path_elements, judge=exact, max_tokens=16),
}


def make_base(folder: Path, task: Task, updates: int, seed: int, device: str, batch: int = 64) -> None:
    """A model of 0.27 million parameters that has seen `updates` batches of easier problems, each problem once.

    It stands for the pretrained model of the papers: it knows the language and single steps, and fails the task.
    """
    tokenizer = load_tokenizer(str(SHIPPED))
    torch.manual_seed(derive_seed(seed, "base", task.name))
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=80, intermediate_size=208, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=None, eos_token_id=tokenizer.eos_token_id)).to(device)
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    rest = [p for name, p in model.named_parameters() if p.ndim == 1 or "layers" not in name]
    optimizers = [Muon(matrices, 0.02), torch.optim.AdamW(rest, 2e-3, (0.9, 0.98), weight_decay=0)]
    rows = iter(task.easier(updates * batch, derive_seed(seed, "easier")))
    for update in range(updates):
        rate = min(1.0, (update + 1) / 30, (1 - update / updates) / 0.5)
        chosen = prompted(islice(rows, batch))
        found = [labelled(encode(tokenizer, row["prompt"], row["solution"], True)) for row in chosen]
        tensors = {key: _padded([row[key] for row in found], fill, "right").to(device)
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


class Policy:
    """A model in a folder, loaded to be sampled from; counts the tokens that it writes."""

    def __init__(self, folder: Path, device: str, max_tokens: int, batch: int = 512) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder).to(device).eval()
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(str(folder))
        self.max_tokens, self.batch, self.generated_tokens = max_tokens, batch, 0

    @torch.inference_mode()
    def complete(self, prompts: Sequence[str], temperature: float, seed: int) -> list[Text]:
        """One completion of every prompt; temperature 0 is greedy. The same prompts and seed give the same texts."""
        ids = [self.tokenizer(prompt).input_ids for prompt in prompts]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        found: list[Text] = [Text("", False)] * len(ids)
        for start in range(0, len(order), self.batch):
            chosen = order[start:start + self.batch]
            torch.manual_seed(derive_seed(seed, start))
            for index, written in zip(chosen, self._generate([ids[i] for i in chosen], temperature), strict=True):
                found[index] = written
        return found

    def _generate(self, ids: list[list[int]], temperature: float) -> list[Text]:
        pad, eos = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        inputs = _padded(ids, pad, "left").to(self.model.device)
        seen = _padded([[1] * len(row) for row in ids], 0, "left").to(self.model.device)
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        out = self.model.generate(
            input_ids=inputs, attention_mask=seen, max_new_tokens=self.max_tokens, use_cache=True, pad_token_id=pad,
            eos_token_id=eos, **sampling)
        found = []
        for row in out[:, inputs.shape[1]:].tolist():
            complete = eos in row
            kept = row[:row.index(eos)] if complete else row
            self.generated_tokens += len(kept) + complete
            found.append(Text(self.tokenizer.decode(kept), complete))
        return found


def _padded(rows: list[list[int]], fill: int, side: str) -> torch.Tensor:
    longest = max(map(len, rows))
    more = [[fill] * (longest - len(row)) for row in rows]
    return torch.tensor([row + pad if side == "right" else pad + row for row, pad in zip(rows, more, strict=True)])
