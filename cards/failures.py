"""How publishing fails, and what the Hub's clients raise, turned into that.

In go the exceptions of the clients; out come errors on which `cards/publish.py` acts (look again, try again later) or
that tell a user in one sentence what stands at the target and what to do. No message holds a token.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from stepforge.builders.retry import retry_after
from stepforge.cards.address import PublishError


class Absent(PublishError):
    """There is no such repository, as far as the token in use can see."""


class Busy(PublishError):
    """The target did not take the step now; it may be tried again, after `wait_s` seconds if the target said so."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(f"{why}; check the network and HF_ENDPOINT, or try again later")
        self.why, self.wait_s = why, wait_s


class Moved(Exception):
    """Someone else changed the target since it was looked at; look again."""


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what the Hub's clients raise into what `publish` acts on: try again, look again, or tell the user.

    The clients name statuses and addresses in their messages, never the token.
    """
    try:
        yield
    except LocalEntryNotFoundError as error:  # a download that found no connection and no cache
        raise Busy(f"no connection to {name}") from error
    except EntryNotFoundError:
        raise
    except Exception as error:
        translated = _translated(name, error)
        if translated is None:
            raise
        raise translated from error


def _translated(name: str, error: BaseException | None) -> Exception | None:
    if isinstance(error, RepositoryNotFoundError):
        return Absent(f"{name} is not there, or the token in use may not see it; create it, or log in with "
                      "`hf auth login`")
    if isinstance(error, HfHubHTTPError):
        return _answered(name, error)
    if isinstance(error, OfflineModeIsEnabled):
        return PublishError(f"{name} cannot be reached because HF_HUB_OFFLINE is set; unset it")
    if isinstance(error, LocalTokenNotFoundError):
        return PublishError(f"{name} needs a token for this; log in with `hf auth login`, or set HF_TOKEN")
    if isinstance(error, httpx2.TransportError | ConnectionError | TimeoutError | json.JSONDecodeError):
        return Busy(f"no usable answer from {name}: {type(error).__name__}")
    if isinstance(error, KeyError | TypeError | AttributeError):  # JSON, but not what a Hub answers
        return Busy(f"no usable answer from {name}: it is not what a Hub answers ({type(error).__name__})")
    if isinstance(error, HFValidationError):
        return PublishError(f"{name} is no name that the Hub allows: {error}")
    if isinstance(error, ValueError) and "Invalid metadata" in str(error):
        return PublishError(f"{name} does not accept the card's header: {error}")
    return _translated(name, error.__cause__) if isinstance(error, RuntimeError) else None  # an upload's own error


def _answered(name: str, error: HfHubHTTPError) -> Exception:
    status, address = error.response.status_code, str(error.response.url)
    if status == 412 or (status == 409 and "/tag/" in address):
        return Moved(f"{name} answered {status}")
    if status in (408, 409, 429) or status >= 500:
        return Busy(f"{name} answered {status}", retry_after(error.response.headers))
    if status in (401, 403):
        return PublishError(f"{name} does not let the token in use do this (HTTP {status}); log in with "
                            "`hf auth login` as a user who may")
    return PublishError(f"{name} refused the request (HTTP {status}): {error.server_message or error}")
