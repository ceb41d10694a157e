"""What goes wrong between a client and the service: who has to do something about it is the class."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from pydantic import ValidationError

from churn_mlops.client.answers import Refusal

_PASSING: Final = frozenset({502, 503, 504})
"""A gateway says 502 or 504 where a client that asks the service itself finds no connection, or no answer in time."""


class ClientError(Exception):
    """No answer to give.

    Attributes:
        passes: whether the same request may well succeed a moment later.
        retry_after_seconds: how long the service asks to be left alone; 0 where it does not.
    """

    passes: bool = False
    retry_after_seconds: float = 0.0


class Unreachable(ClientError):
    """The service could not be reached, or gave no answer in time; the cause is httpx's own error."""

    def __init__(self, url: str, problem: httpx.TransportError) -> None:
        super().__init__(f"{url} gave no answer: {str(problem) or 'timed out'} ({type(problem).__name__}).")
        self.passes = isinstance(
            problem, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError | httpx.ProxyError
        )


class UnexpectedAnswer(ClientError):
    """What answered is not the service, or one that this client does not know."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url} gave an answer that is not the service's: {problem}.")


class ServiceError(ClientError):
    """The service answered that it did not do as asked.

    Attributes:
        status: of the HTTP answer.
        error: the service's name for what is wrong.
        detail: the service's sentence about it.
        fields: names of the fields at fault.
        rows: of a batch, every customer at fault, numbered through all that were given.
        request_id: by which the service's log knows the request; None if it did not say.
    """

    def __init__(self, response: httpx.Response, refusal: Refusal) -> None:
        super().__init__(f"{refusal.detail} ({response.status_code} {refusal.error})")
        self._parts = response, refusal
        self.status = response.status_code
        self.error, self.detail = refusal.error, refusal.detail
        self.fields, self.rows = refusal.fields, refusal.rows
        self.request_id: str | None = response.headers.get("x-request-id")
        self.passes = self.status in _PASSING
        self.retry_after_seconds = _read_retry_after(response.headers.get("retry-after", ""))


class Refused(ServiceError):
    """The request is at fault (a status of 4xx): asking again would change nothing."""

    @property
    def is_too_large(self) -> bool:
        """Whether it may be taken in smaller parts: it is the batch as a whole that is refused, and no customer."""
        return self.status == httpx.codes.REQUEST_ENTITY_TOO_LARGE or (self.error == "BatchRefused" and not self.rows)

    def count_from(self, first: int) -> Refused:
        """Give the same refusal with its rows numbered from `first` on, not from 0."""
        response, refusal = self._parts
        rows = tuple(bad.model_copy(update={"row": bad.row + first}) for bad in refusal.rows)
        return Refused(response, refusal.model_copy(update={"rows": rows}))


class Unavailable(ServiceError):
    """The service cannot answer at the moment: it has no model, is stopping, or has too much to do."""


class ServiceFailed(ServiceError):
    """The service failed; its log, under `request_id`, says how."""


def read_failure(url: str, response: httpx.Response) -> ClientError:
    """Say what an answer that is no success means."""
    status = response.status_code
    if not response.is_error:
        return UnexpectedAnswer(url, f"{status} {response.reason_phrase}")
    try:
        refusal = Refusal.model_validate_json(response.content)
    except ValidationError:  # what stands between the client and the service has a body of its own
        refusal = Refusal(error=response.reason_phrase, detail=f"{url} cannot be used.")
    if response.is_client_error:
        return Refused(response, refusal)
    return (Unavailable if status in _PASSING else ServiceFailed)(response, refusal)


def _read_retry_after(text: str) -> float:
    """Read seconds or a date (RFC 9110, section 10.2.3); 0 of anything else."""
    try:
        seconds = float(text) if text.isdigit() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # TypeError: of a date without a time zone
        return 0.0
    return max(seconds, 0.0)
