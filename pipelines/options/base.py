"""What all groups of options share: frozen, a sentence for each field; unknown keys and infinite numbers refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stepforge.builders.errors import UserError

PATTERNS: dict[str, str] = {}  # what the pattern of an option asks for, in words


def pattern(expression: str, words: str) -> str:
    """A regular expression for `Field(pattern=...)`, whose misfits are told in words."""
    PATTERNS[expression] = words
    return expression


NAME = pattern(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "letters, digits and . _ -, the first a letter or a digit")
PitRule = Literal["argmin_q", "zero_success", "largest_drop"]  # credit/advantages.py
Splitter = Literal["auto", "newline", "blank_line", "sentence", "step_heading", "path", "thoughts"]  # credit/split.py
LEAST_TIMEOUT_S = 0.01  # of one check: a worker's clock ticks in hundredths of a second
LEAST_MEMORY_MB = 512  # of a verifying process: its libraries, and room to work


@contextmanager
def misfits() -> Iterator[None]:
    """A mistake that a part of the engine tells the user, raised in here, is a misfit of the recipe."""
    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from None


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
