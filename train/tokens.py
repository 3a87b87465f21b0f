"""Turns the text of a release into the tokens that a model saw and wrote.

In: a prompt, a completion, and whether the completion ends its solution. Out: their tokens, cut exactly where the
prompt ends. TRL would join both texts, cut where their tokens part, and append EOS to every completion; for a step in
mid-solution that teaches the model to stop there. Here EOS follows only what the model ended itself.
"""

from typing import Any, NamedTuple

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from stepforge.train.release import ReleaseError

IGNORE = -100  # label of a token that carries no loss, as in torch's cross entropy


class Tokens(NamedTuple):
    """`ends[i]` is the offset, in characters of the completion, behind the text of `completion[i]`."""

    prompt: list[int]
    completion: list[int]
    ends: list[int]


def load_tokenizer(name: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """A tokenizer that can be trained with: it knows offsets, has an EOS, and does not append EOS by itself."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as error:
        raise ReleaseError(f"--model {name}: {error}") from error
    if not tokenizer.is_fast:
        raise ReleaseError(f"the tokenizer of {name} gives no character offsets; convert it to a fast tokenizer")
    if tokenizer.eos_token_id is None:
        raise ReleaseError(f"the tokenizer of {name} has no EOS token, so no solution could end; set eos_token")
    if tokenizer("1").input_ids[-1] == tokenizer.eos_token_id:
        raise ReleaseError(f"the tokenizer of {name} appends EOS to every text; set add_eos_token to false")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, complete: bool) -> Tokens:
    """Tokens of a prompt and of what follows it, with EOS behind it if `complete`.

    The prompt is tokenized alone, as an engine tokenizes it before it samples. Where the joined text begins with just
    these tokens, as it does when the prompt ends in a newline, its other tokens are the completion's; where a token
    would straddle the cut, the completion is tokenized alone too, so that neither side changes the other.
    """
    special = not (tokenizer.bos_token and prompt.startswith(tokenizer.bos_token))  # a chat template brings its BOS
    prompt_ids = tokenizer(prompt, add_special_tokens=special).input_ids
    joint = tokenizer(prompt + completion, add_special_tokens=special, return_offsets_mapping=True)
    start, cut = len(prompt_ids), len(prompt)
    if joint.input_ids[:start] != prompt_ids:
        joint = tokenizer(completion, add_special_tokens=False, return_offsets_mapping=True)
        start = cut = 0
    ids = joint.input_ids[start:]
    ends = [end - cut for _, end in joint.offset_mapping[start:]]
    if complete:
        ids, ends = [*ids, tokenizer.eos_token_id], [*ends, len(completion)]
    return Tokens(prompt_ids, ids, ends)


def labelled(tokens: Tokens) -> dict[str, Any]:
    """Columns of a row for a causal model: the loss is on the completion alone."""
    ids = tokens.prompt + tokens.completion
    return {"input_ids": ids, "labels": [IGNORE] * len(tokens.prompt) + tokens.completion, "length": len(ids)}


def step_of_each_token(tokens: Tokens, ends: list[int], length: int) -> list[int]:
    """For every token of the completion the index of the step that holds its last character (EOS: the last step).

    `ends` are the offsets behind the steps, ascending, the last one `length`, the completion's; a token that begins in
    the white space behind one step and ends in the next belongs to the next. Raises ReleaseError for other `ends`.
    """
    if not ends or list(ends) != sorted(set(ends)) or ends[-1] != length:
        raise ReleaseError(f"the ends of the steps are {ends}; they must ascend up to the completion's length, "
                           f"{length}: the release is not as it was built")
    steps, step = [], 0
    for end in tokens.ends:
        while end > ends[step]:
            step += 1
        steps.append(step)
    return steps
