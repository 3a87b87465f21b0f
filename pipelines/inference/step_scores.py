"""A process reward model in this process: it reads a solution and scores the end of every step.

In: the folder or Hub id of a model that classifies tokens as wrong or right, such as `train prm` makes, and a solution
in steps. Out: for each step the probability of `right` at its last token, as in training. The model is loaded once.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import prod
from typing import Any

from stepforge.builders.errors import UserError

# What the scores of its steps say of a solution (Lightman et al., arXiv 2305.20050, take the product).
OF_STEPS: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min, "last": lambda scores: scores[-1], "product": prod}

def score_steps(model: str, revision: str | None, prompt: str, steps: Sequence[str], device: str = "cpu"
                ) -> list[float] | None:
    """The value of every step, in [0, 1]; a step without a token of its own has the value of the next one. None where
    prompt and solution are longer than the model can read.

    Raises:
        UserError: there is no such model or device, it has other than two classes, or what runs it is not installed.
    """
    import torch

    classifier, tokenizer = _loaded(model, revision, device)
    ids, ends = _tokens(tokenizer, prompt, "".join(steps))
    if len(ids) > getattr(classifier.config, "max_position_embeddings", len(ids)):
        return None
    with torch.no_grad():
        logits = classifier(input_ids=torch.tensor([ids], device=device)).logits[0]
    right = logits.float().softmax(-1)[-len(ends):, 1].tolist()
    behind = list(accumulate(map(len, steps)))
    last = {bisect_left(behind, end): token for token, end in enumerate(ends)}
    scores: list[float] = []
    for step in reversed(range(len(steps))):
        scores.append(right[last[step]] if step in last else scores[-1])
    return scores[::-1]


def _tokens(tokenizer: Any, prompt: str, solution: str) -> tuple[list[int], list[int]]:
    """Tokens of prompt and solution, cut where the prompt ends, and the offsets behind those of the solution."""
    special = not (tokenizer.bos_token and prompt.startswith(tokenizer.bos_token))  # a chat template brings its BOS
    start: list[int] = tokenizer(prompt, add_special_tokens=special).input_ids
    joint = tokenizer(prompt + solution, add_special_tokens=special, return_offsets_mapping=True)
    if joint.input_ids[:len(start)] == start:
        return joint.input_ids, [end - len(prompt) for _, end in joint.offset_mapping[len(start):]]
    alone = tokenizer(solution, add_special_tokens=False, return_offsets_mapping=True)
    return [*start, *alone.input_ids], [end for _, end in alone.offset_mapping]


@lru_cache(maxsize=1)
def _loaded(model: str, revision: str | None, device: str) -> tuple[Any, Any]:
    check_model(model, revision)
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    try:
        classifier = AutoModelForTokenClassification.from_pretrained(model, revision=revision).eval()
        return classifier.to(device), AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError) as error:
        raise _unloadable(model, error) from error
    except (RuntimeError, AssertionError) as error:  # torch says either
        raise UserError(f"the device {device!r} cannot hold the reward model {model!r}: {str(error)[:300]}; give cpu, "
                        "cuda or cuda:N") from error


@lru_cache(maxsize=8)
def check_model(model: str, revision: str | None) -> None:
    """Whether a model can score steps, from its config and tokenizer alone: no weight is loaded.

    Raises:
        UserError: as for `score_steps`.
    """
    try:
        from transformers import AutoConfig, AutoTokenizer
    except ImportError as error:
        raise UserError(f"the reward model {model!r} runs with transformers: pip install 'stepforge[embedded]', or "
                        "do without one") from error
    try:
        config = AutoConfig.from_pretrained(model, revision=revision)
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError) as error:
        raise _unloadable(model, error) from error
    kinds = config.architectures or []
    if not any(kind.endswith("ForTokenClassification") for kind in kinds):  # others would get a head of random weights
        raise UserError(f"the reward model {model!r} is a {', '.join(kinds) or 'model of unknown kind'}; allowed: one "
                        "that classifies tokens (...ForTokenClassification), such as `train prm` makes")
    if config.num_labels != 2 or not tokenizer.is_fast:
        raise UserError(f"the reward model {model!r} has {config.num_labels} classes; allowed: a model of two, wrong "
                        "and right, with a fast tokenizer")


def _unloadable(model: str, error: Exception) -> UserError:
    return UserError(f"the reward model {model!r} cannot be loaded: {str(error)[:300]}; give the folder or the Hub id "
                     "of a model that `train prm` made")
