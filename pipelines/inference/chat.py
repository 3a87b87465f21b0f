"""The chat template of a model's tokenizer, rendered here, so that a solution can be continued from any step.

In: a model and a question. Out: the text up to where the assistant begins to write. Servers are sent this text as a
plain prompt: their chat endpoints would close an unfinished turn or strip its white space.
"""

from datetime import date
from typing import Any

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.models import load_tokenizer
from stepforge.pipelines.inference.templates import CannotRender, render_chat

TODAY = date(2024, 7, 26)  # for templates that tell the date: a prompt must not change overnight


def _tokenizer(model: str) -> Any:
    try:
        tokenizer = load_tokenizer(model)
    except ImportError as error:
        raise UserError("prompt `chat` reads the model's tokenizer with transformers: "
                        "pip install 'stepforge[embedded]'") from error
    except (OSError, ValueError) as error:
        raise UserError(f"prompt `chat`: the tokenizer of {model!r} cannot be loaded: {str(error)[:300]}; "
                        "take another prompt") from error
    if not tokenizer.chat_template:
        raise UserError(f"prompt `chat`: the tokenizer of {model!r} has no chat template; take another prompt, such "
                        "as instruct")
    return tokenizer


def chat_template(model: str) -> str:
    """Text of the model's chat template.

    Raises:
        UserError: it has none, or its tokenizer cannot be loaded.
    """
    return str(_tokenizer(model).get_chat_template())


def in_chat(model: str, question: str) -> str:
    """The question as a user's turn, and the beginning of the assistant's.

    A mark for the beginning of a text that the tokenizer would write once more is left to it.

    Raises:
        UserError: as `chat_template`, or the template cannot be rendered.
    """
    tokenizer = _tokenizer(model)
    try:
        text = render_chat(str(tokenizer.get_chat_template()), [{"role": "user", "content": question}],
                           tokenizer.special_tokens_map, TODAY.isoformat())
    except CannotRender as error:
        raise UserError(f"prompt `chat`: the chat template of {model!r} cannot be rendered: {error}") from error
    begin = tokenizer.bos_token
    if begin and text.startswith(begin) and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]:
        return text[len(begin):]
    return text
