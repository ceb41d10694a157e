"""The shapes of the service's answers."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from fastapi import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from churn_mlops.errors import BadRow
from churn_mlops.registry.manifest import Manifest

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'"),
)
"""What every answer tells a browser: take it for what it says it is, tell nobody where you were, load nothing from
elsewhere (the documentation page has scripts of its own, in place) and show it in no frame."""

_LONGEST_SHOWN: Final = 60


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Health(_Answer):
    """The process is alive; `model_version` is null while no model is loaded."""

    status: Literal["ok"] = "ok"
    model_version: str | None


class Ready(_Answer):
    """A model is loaded and answers."""

    status: Literal["ready"] = "ready"
    model_version: str


class Refused(_Answer):
    """What the registry names and the service does not serve.

    Attributes:
        version: the version that failed; null where the registry does not even name one.
        error: the kind of error.
        detail: what is wrong, in a sentence.
        since: when it was first found, UTC.
    """

    version: str | None
    error: str
    detail: str
    since: AwareDatetime


class ServedManifest(Manifest):
    """The manifest of the version being served.

    Attributes:
        refused: the version that was to take its place and failed a check; null while it is the champion itself.
    """

    refused: Refused | None


class ErrorAnswer(_Answer):
    """Every refusal and failure has this body; `rows` where customers of a batch are at fault, and then all of them."""

    error: str
    detail: str
    fields: list[str]
    rows: list[BadRow] = []


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


class WrittenJson(Response):
    """An answer 200 in JSON that is written already, with its headers: they are not gone through once more."""

    def __init__(self, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status_code, self.body, self.background = 200, body, None
        length = b"%d" % len(body)
        self.raw_headers = [(b"content-length", length), (b"content-type", b"application/json"), *headers]


def shorten(value: object) -> str:
    """Show what a client sent as it was sent, in JSON, but not at any length."""
    text = ""
    for part in _ENCODER.iterencode(value):  # of a long list not more than is shown
        text += part
        if len(text) > _LONGEST_SHOWN:
            break
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def describe_errors(**statuses: str) -> dict[int | str, dict[str, Any]]:
    """Document error answers in OpenAPI: `describe_errors(s422="…")`."""
    return {int(status[1:]): {"model": ErrorAnswer, "description": text} for status, text in statuses.items()}
