"""Errors whose message is for the user: the command line shows it, and exits with 2 for a mistake, 1 for a failure."""


from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user's: the message says what, which value, what is allowed and what to do next."""


class SourceError(UserError):
    """Problems or recorded solutions cannot be read: a missing file, an unknown format, a missing column."""


class StageFailed(RuntimeError):
    """Some ranks of a stage did not finish; the next run resumes them."""


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """The end of a message: "; did you mean 'x'?", or nothing where no allowed word is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(allowed), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
