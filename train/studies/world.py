"""The small world of the studies: tasks whose answers are certain, and the small model that runs start from.

A task gives problems in the columns of the table `problems`, cuts solutions into steps and judges them. Models are
folders in transformers' format; sampling.py samples them.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stepforge.builders.sources import arithmetic, star_graph, terse_teacher
from stepforge.builders.sources.arithmetic import SPLITS
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.answers import Claim, Verdict, Verifier, first_false_step
from stepforge.pipelines.credit.split import split as split_steps
from stepforge.train.studies.sampling import Text
from stepforge.train.studies.tiny_model import Muon, make_tokenizer
from stepforge.train.tokens import encode, labelled

Row = dict[str, Any]
PHRASES = r"\n|\d|[^\d\n]+"   # a phrase may be one token, a digit always is: sequences of about 55 tokens, not 80
NUMBERS = r"\d+|[^\d]"        # a node of a graph is one token
TERMS = r"\n|\d+|[^\d\n]+"   # so is a number modulo 11, and a phrase: sequences of 27 to 33 tokens
VOCABULARY = 768
EQUATION = re.compile(r"\d+ [-+*/] \d+ = \d+")
MOST_BEFORE = 50_000  # problems drawn for a base model; a longer training sees them again
PERMUTED = str.maketrans("+-*", "*+-")


class Exact:
    """Judges paths of star graphs: a solution is correct where it is the answer, but for its brackets."""

    def verify_many(self, claims: Iterable[Claim]) -> Iterator[Verdict]:
        for claim in claims:
            good = claim.complete and claim.gold.strip("() \n") == claim.solution.strip()
            yield Verdict(claim.solution, claim.solution, "correct" if good else "incorrect", None, "literal")


@dataclass(frozen=True)
class Task:
    """Problems by (count, seed, split), those that a base model has seen, the cut into steps, and the judge.

    `words` says what may be one token; `marks` are properties of a solution whose share among the test's solutions is
    recorded, and their share among the wrong ones;
    `gate` gives problems that a base model must know.
    """

    name: str
    problems: Callable[[int, int, str], Iterable[Row]]
    before: Callable[[int, int], Iterable[Row]]
    words: str
    splitter: str
    max_tokens: int
    verifier: Callable[[], AbstractContextManager[Any]] = Verifier
    gate: Callable[[], list[Row]] | None = None
    marks: Mapping[str, Callable[[str], bool]] = field(default_factory=dict)

    def draw(self, count: int, seed: int, split: str) -> list[Row]:
        """Distinct problems with their ids, prompts and reference solutions."""
        return list({row["problem_id"]: row for row in prompted(self.problems(count, seed, split))}.values())

    def steps(self, text: str) -> list[str]:
        return split_steps(self.splitter, text)

    def correct(self, problems: Sequence[Row], texts: Sequence[Text]) -> list[bool]:
        """Whether each text is a whole and correct solution of the problem beside it."""
        with self.verifier() as verifier:
            verdicts = verifier.verify_many(
                Claim(row["answer"], *text) for row, text in zip(problems, texts, strict=True))
            return [verdict.verdict == "correct" and text.complete
                    for verdict, text in zip(verdicts, texts, strict=True)]


SMALL = partial(arithmetic.generate, max_operand=5)


def stars(count: int, seed: int, split: str) -> Iterable[Row]:
    return star_graph.generate(count, seed, split, degree=2, path_length=3, nodes=20)


def walks(count: int, seed: int) -> Iterable[Row]:
    """Star graphs with a path along any arm: whoever learns from them follows edges and knows no goal."""
    follower = star_graph.Follower(fidelity=1.0)
    for index, row in enumerate(stars(count, seed, "train")):
        path = follower.complete(row["problem"], "", derive_seed(seed, "walk", index))
        yield row | {"answer": path, "reference_solution": path}


def worked_lines(count: int, seed: int, stories: int = 8000) -> Iterable[Row]:
    """What a base model of reliable arithmetic has seen: lists of lines of solutions, and stories of one or two steps.

    Three quarters are lists. They hold every equation of so many `stories` alike, however seldom it occurs.
    """
    rng = random.Random(derive_seed(seed, "lines"))
    lines = lines_by_equation("validation", stories, seed)
    rows = list(SMALL(count // 4, seed, "validation", steps=(1, 2)))
    rows += [work_out([rng.choice(lines[one]) for one in rng.sample(sorted(lines), rng.randint(1, 5))])
             for _ in range(count - len(rows))]
    rng.shuffle(rows)
    yield from rows


def lines_by_equation(split: str, count: int, seed: int) -> dict[str, list[str]]:
    """Of each equation in the solutions of `count` problems the lines that hold it."""
    lines: dict[str, list[str]] = {}
    for row in SMALL(count, seed, split, steps=(2, 3)):
        for line in row["reference_solution"].split("\n")[:-1]:
            lines.setdefault(equation_of(line), []).append(line)
    return lines


def equation_of(line: str) -> str:
    match = EQUATION.search(line)
    assert match, line
    return match[0]


def work_out(lines: Sequence[str]) -> Row:
    """The equations of lines as a problem of its own; the result of the last is its answer."""
    sums, results = zip(*(equation_of(line).split(" = ") for line in lines), strict=True)
    return {"problem": f"Work out {', '.join(sums)}.", "answer": results[-1],
            "reference_solution": "\n".join([*lines, f"The answer is {results[-1]}."])}


def single_equations() -> list[Row]:
    """The equations of some hundred problems, each by itself, as often as it occurs."""
    lines = lines_by_equation("train", 400, 0)
    return prompted(work_out([line]) for of in lines.values() for line in of)


def single_lines(known: bool, count: int, seed: int) -> Iterable[Row]:
    """What a base model of the terse teacher's world has seen: one operation a line, never two.

    Lists of up to four unrelated operations, and chains of one and two; of these all splits, since a task's problems
    are chains of three. Unless single steps are to be `known`, the signs are permuted: the base model then knows the
    form of a line, and believes in wrong tables.
    """
    rng = random.Random(derive_seed(seed, "lists"))
    rows = [_listed(rng) for _ in range(count // 2)]
    for operations, share in ((1, 8), (2, 4)):
        for split in SPLITS:
            rows += terse_teacher.generate(count // share // 3, seed, split, operations=operations, double=0)
    rng.shuffle(rows)
    for row in rows:
        texts = {key: row[key] if known else row[key].translate(PERMUTED) for key in ("problem", "reference_solution")}
        yield row | texts


def single_operations() -> list[Row]:
    """Nearly all problems of one operation there are."""
    rows = prompted(row for split in SPLITS
                    for row in terse_teacher.generate(1500, 0, split, operations=1, double=0))
    return list({row["problem_id"]: row for row in rows}.values())


def _listed(rng: random.Random) -> Row:
    asked = [(rng.randrange(11), rng.choice(terse_teacher.SIGNS), rng.randrange(11)) for _ in range(rng.randint(1, 4))]
    lines = [f"{left} {sign} {right} ≡ {terse_teacher.operate(left, sign, right, 11)}" for left, sign, right in asked]
    answer = lines[-1].rsplit(" ", 1)[1]
    chain = ", ".join(line.split(" ≡ ")[0] for line in lines)
    return {"problem": f"Work from left to right modulo 11: {chain}", "answer": answer,
            "reference_solution": "\n".join([*lines, f"#### {answer}"])}


def terse(double: float = 0.6, known: bool = True) -> Task:
    """Chains of three operations; the teacher does two in a line with probability `double`."""
    return Task("terse_teacher", partial(terse_teacher.generate, double=double), partial(single_lines, known),
                words=TERMS, splitter="newline", max_tokens=32, gate=single_operations,
                marks={"double_line": lambda text: terse_teacher.double_lines(text) > 0,
                       "false_line": lambda text: terse_teacher.false_lines(text) > 0})


def has_false_equation(text: str) -> bool:
    return first_false_step(split_steps("newline", text)) is not None


def prompted(rows: Iterable[Row]) -> list[Row]:
    return [{"problem_id": content_id("problem", row["problem"], row["answer"]), "prompt": row["problem"] + "\n",
             "answer": row["answer"], "solution": row["reference_solution"]} for row in rows]


TASKS: dict[str, Callable[..., Task]] = {
    "arithmetic": lambda: Task(
        "arithmetic",
        problems=lambda count, seed, split: arithmetic.generate(count, seed, split, steps=(2, 3), max_operand=12),
        before=lambda count, seed: arithmetic.generate(count, seed, "validation", steps=(1, 2), max_operand=12),
        words=PHRASES, splitter="newline", max_tokens=56,
        marks={"false_equation": has_false_equation}),
    "star_graph": lambda: Task("star_graph", problems=stars, before=walks, words=NUMBERS, splitter="path",
                               max_tokens=16, verifier=lambda: nullcontext(Exact())),
    "reliable": lambda: Task(
        "arithmetic", problems=partial(SMALL, steps=(2, 3)), before=worked_lines,
        words=TERMS, splitter="newline", max_tokens=56, gate=single_equations,
        marks={"false_equation": has_false_equation}),
    "terse_teacher": terse,
}


def make_base(
    folder: Path, task: Task, updates: int, seed: int, device: str, width: int, layers: int, batch: int = 64,
    phrases: Sequence[str] = ()
) -> None:
    """A model that has seen `updates` batches of `task.before`; width 64 and 2 layers are 0.14 million parameters.

    It stands for the pretrained model of the papers: it knows the language and single steps, and fails the task. Its
    tokenizer has tokens of their own for `phrases`, which those problems do not hold.
    """
    drawn = prompted(task.before(min(updates * batch, MOST_BEFORE), derive_seed(seed, "easier")))
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
    encoded = [labelled(encode(tokenizer, row["prompt"], row["solution"], True)) for row in drawn]
    for update in range(updates):
        rate = min(1.0, (update + 1) / 30, (1 - update / updates) / 0.5)
        chosen = [encoded[(update * batch + place) % len(encoded)] for place in range(batch)]
        tensors = {key: _padded([row[key] for row in chosen], fill).to(device)
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
