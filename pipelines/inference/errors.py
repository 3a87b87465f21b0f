"""What can become of a request other than an answer; each has the reason under which its row is dropped.

Requests that failed (`error`) are asked again by the next run; the other outcomes stay as they are. A server that is
gone for good is not among them: that is datatrove's `ServerError`, and it ends the rank.
"""


class Refused(ValueError):
    """The server understood the request and refuses it; perhaps not with other settings."""

    reason = "error"


class PromptTooLong(Refused):
    """The prompt leaves no room for one new token."""

    reason = "prompt_too_long"


class Filtered(Refused):
    """A content filter stands between the request and an answer."""

    reason = "filtered"


class RequestFailed(RuntimeError):
    """The request failed for good while the server answers others."""

    reason = "error"
