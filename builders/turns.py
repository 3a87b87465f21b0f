"""Marks with which chat templates end a model's turn; servers and files leave them behind texts."""

import re

TURN_END = (r"(?:</s>|<end_of_turn>|<eos>|<[|｜](?:im_end|e(?:o[tm]_id|ndoftext|nd_of_(?:text|turn)|nd)|return"
            r"|end▁of▁sentence)[|｜]>)")
_AT_END = re.compile(rf"(?:\s*{TURN_END})+\s*\Z")


def without_end(text: str) -> str:
    """The text without such marks behind it."""
    return _AT_END.sub("", text) if text.rstrip().endswith(">") else text
