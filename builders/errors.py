"""The errors that a user can cause; the command line shows their message and exits with code 2."""


class UserError(Exception):
    """A mistake of the user's: the message says what, which value, what is allowed and what to do next."""


class SourceError(UserError):
    """Problems or recorded solutions cannot be read: a missing file, an unknown format, a missing column."""
