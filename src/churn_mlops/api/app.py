"""The HTTP service. Importing this module reads no configuration, loads no model and touches no network."""

from __future__ import annotations

import logging
import logging.config
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi_offline import FastAPIOffline

import churn_mlops
from churn_mlops.api.access_log import LOGGING, AccessLog
from churn_mlops.api.direct_routes import DirectRoutes
from churn_mlops.api.errors import handle_errors
from churn_mlops.api.keys import read_key_hashes
from churn_mlops.api.openapi import build_openapi, document_keys
from churn_mlops.api.protection import hide_documentation, protect
from churn_mlops.api.routes import DIRECT, router
from churn_mlops.api.served_model import ServedModel
from churn_mlops.config import load_settings
from churn_mlops.errors import ChurnMlopsError, NoModel, RegistryError
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from churn_mlops.config import Settings

_log = logging.getLogger("churn_mlops.api")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the service.

    Args:
        settings: the configuration; without it, read at start from the file that `CHURN_MLOPS_CONFIG` names.
    """
    read_settings = cache(lambda: settings or load_settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logging.config.dictConfig(LOGGING)
        app.state.settings = read_settings()
        app.state.needs_key = bool(read_key_hashes())
        if not app.state.settings.serving.docs:
            hide_documentation(app)
        app.state.served, app.state.problem = _load(app.state.settings)
        yield

    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title="churn-mlops",
        summary="Which customers are about to leave, how sure that is, and why.",
        version=churn_mlops.__version__,
        openapi_tags=[
            {"name": "scoring", "description": "What the model says, and what it is."},
            {"name": "operation", "description": "Probes for whoever runs the service."},
        ],
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call their functions
    )
    app.state.served = app.state.problem = None
    app.state.needs_key = False
    app.include_router(router)
    app.add_middleware(DirectRoutes, routes=DIRECT)
    app.add_middleware(protect, read_settings)
    app.add_middleware(AccessLog)
    handle_errors(app)

    def openapi() -> dict[str, Any]:
        document = build_openapi(app, app.state.served.schema if app.state.served else None)
        if app.state.needs_key:
            document_keys(document, app.state.settings.serving.open_paths)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def _load(settings: Settings) -> tuple[ServedModel | None, ChurnMlopsError | None]:
    try:
        served = ServedModel.load(Registry(settings.artifacts.path), settings.serving.max_missing_share)
    except (NoModel, RegistryError) as error:
        level = logging.WARNING if isinstance(error, NoModel) else logging.ERROR
        _log.log(level, "no model is served", extra={"error": type(error).__name__, "detail": str(error)})
        return None, error
    manifest = served.scorer.manifest
    about = {"model_version": manifest.version, "model": manifest.model, "sample": manifest.sample}
    _log.info("model loaded", extra=about)
    return served, None


app = create_app()
