"""API keys: made here, kept as hashes, and asked for before anything of a request is read."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sys
from typing import TYPE_CHECKING, Final

from churn_mlops.api.errors import answer_error
from churn_mlops.errors import SettingsError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

KEYS_VARIABLE: Final = "CHURN_MLOPS_API_KEYS"
_HASH: Final = re.compile("[0-9a-f]{64}")
_BEARER: Final = b"bearer "


def read_key_hashes() -> tuple[str, ...]:
    """Read the hashes of the keys that may be used, from the environment; none if no key is needed.

    Raises:
        SettingsError: one of them is no hash; the sentence says which, but shows nothing of it.
    """
    text = os.environ.get(KEYS_VARIABLE)
    if text is None:
        return ()
    hashes = tuple(entry.strip().lower() for entry in text.split(","))
    wrong = [str(place) for place, entry in enumerate(hashes, 1) if not _HASH.fullmatch(entry)]
    if wrong:
        raise SettingsError(
            f"{KEYS_VARIABLE} must hold SHA-256 hashes of keys, 64 hexadecimal digits each, with commas between; "
            f"entry {', '.join(wrong)} of {len(hashes)} is none. churn-mlops keys new makes a key and its hash; "
            f"leave the variable unset to need no key."
        )
    return hashes


def create_key() -> tuple[str, str]:
    """Make a random key of 256 bits; give it and its hash, which is all that the service needs to know."""
    key = secrets.token_urlsafe(32)
    return key, hash_key(key.encode())


def hash_key(key: bytes) -> str:
    """Give a key's SHA-256 in hexadecimal digits: a random key of 256 bits needs neither salt nor a slow hash."""
    return hashlib.sha256(key).hexdigest()


def show_new_key() -> None:
    """Print a new key and its hash."""
    key, hashed = create_key()
    sys.stdout.write(f"key:  {key}\nhash: {hashed}\n")
    sys.stderr.write(
        f"The key is for the client and is not kept anywhere. Add the hash to {KEYS_VARIABLE} of the service, after a "
        f"comma if another is there, and start it again.\n"
    )


class ApiKeys:
    """Answers 401 to a request without a known key, unless its path is open.

    Args:
        app: the next application.
        hashes: of the keys that may be used.
        open_paths: what may be asked without one.
    """

    def __init__(self, app: ASGIApp, hashes: Collection[str], open_paths: Collection[str]) -> None:
        self._app = app
        self._hashes = tuple(hashes)
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        keys = list(_find_keys(scope))
        if any(map(self._knows, keys)):
            await self._app(scope, receive, send)
        else:
            await answer_error(Unauthorized(given=bool(keys)))(scope, receive, send)

    def _knows(self, key: bytes) -> bool:
        hashed = hash_key(key)
        # all are compared, each in constant time: how long it takes tells nothing
        return sum(hmac.compare_digest(hashed, known) for known in self._hashes) > 0


def _find_keys(scope: Scope) -> Iterator[bytes]:
    """Find the key of each header: beside one that is known another does no harm, whichever comes first."""
    headers = dict(scope["headers"])  # one of each name: a request may not have thousands hashed
    if b"x-api-key" in headers:
        yield headers[b"x-api-key"]
    if headers.get(b"authorization", b"")[: len(_BEARER)].lower() == _BEARER:
        yield headers[b"authorization"][len(_BEARER) :].strip()


if __name__ == "__main__":
    show_new_key()
