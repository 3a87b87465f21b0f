"""What can become of a request other than an answer. Each is an outcome of that request, recorded and never retried.

A server that is gone for good is not among them: that is datatrove's `ServerError`, and it ends the rank.
"""


class Refused(ValueError):
    """The server understood the request and will never answer it."""


class PromptTooLong(Refused):
    """The prompt leaves no room for one new token."""


class RequestFailed(RuntimeError):
    """The request failed again and again while the server answers others."""
