"""Errors whose message is for the user: the command line shows it, and exits with 2 for a mistake, 1 for a failure."""


class UserError(Exception):
    """A mistake of the user's: the message says what, which value, what is allowed and what to do next."""


class SourceError(UserError):
    """Problems or recorded solutions cannot be read: a missing file, an unknown format, a missing column."""


class StageFailed(RuntimeError):
    """Some ranks of a stage did not finish; the next run resumes them."""
