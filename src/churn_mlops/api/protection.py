"""What stands before the routes if the configuration asks for it: API keys, and which web pages may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.middleware.cors import CORSMiddleware

from churn_mlops.api.keys import ApiKeys, read_key_hashes
from churn_mlops.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from churn_mlops.config import Settings

_ASKED_WITH: Final = ("Authorization", "X-API-Key", "Content-Type", "X-Request-ID")
_SHOWN: Final = ("X-Request-ID", "X-Model-Version", "Retry-After")

_DOCUMENTATION: Final = frozenset({"/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs"})


def protect(app: ASGIApp, read_settings: Callable[[], Settings]) -> ASGIApp:
    """Put before an application what the configuration asks for; nothing, and no cost, by default."""
    try:
        serving, hashes = read_settings().serving, read_key_hashes()
    except SettingsError:
        return app  # the start reads them as well, and fails with it
    if hashes:
        app = ApiKeys(app, hashes, serving.open_paths)
    if serving.cors_origins:  # before the keys: a browser asks whether it may without one
        app = CORSMiddleware(
            app, serving.cors_origins, ("GET", "POST"), allow_headers=_ASKED_WITH, expose_headers=_SHOWN
        )
    return app


def hide_documentation(app: FastAPI) -> None:
    """Take away the pages that say what the service can be asked."""
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) not in _DOCUMENTATION]
