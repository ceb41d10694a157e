"""The HTTP service. Importing this module reads no configuration, loads no model and touches no network."""

from __future__ import annotations

import logging
import logging.config
import os
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi_offline import FastAPIOffline

import churn_mlops
from churn_mlops.api import batch, events
from churn_mlops.api.access_log import LOGGING, AccessLog
from churn_mlops.api.counts import FOLDER_VARIABLE
from churn_mlops.api.direct_routes import DirectRoutes
from churn_mlops.api.errors import handle_errors
from churn_mlops.api.exposition import router as metrics_router
from churn_mlops.api.exposition import share_regularly
from churn_mlops.api.following import Follower, Watch, find_challenger, find_champion
from churn_mlops.api.keys import read_key_hashes
from churn_mlops.api.metrics import LOAD_FAILURES, LOADS, SHADOW, Metrics
from churn_mlops.api.open_inference.routes import router as open_inference
from churn_mlops.api.openapi import build_openapi, document_keys
from churn_mlops.api.protection import hide_documentation, protect
from churn_mlops.api.routes import DIRECT, router
from churn_mlops.api.served_model import ServedModel
from churn_mlops.api.shadow import Shadow
from churn_mlops.api.tracing import TraceRequests, is_asked_for, trace
from churn_mlops.api.turns import Turns
from churn_mlops.config import load_settings
from churn_mlops.cpu_quota import cpus_per_worker
from churn_mlops.registry.served import open_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

    from churn_mlops.config import Settings


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
        if folder := os.environ.get(FOLDER_VARIABLE):
            metrics.share(Path(folder))
        async with trace(app) if traces else nullcontext():
            with _follow(app):
                async with share_regularly(app):
                    yield

    metrics = Metrics()
    traces = is_asked_for()
    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title="churn-mlops",
        summary="Which customers are about to leave, how sure that is, and why.",
        version=churn_mlops.__version__,
        openapi_tags=[
            {"name": "scoring", "description": "What the model says, and what it is."},
            {
                "name": "open inference",
                "description": "The same model, by the Open Inference Protocol (V2).",
            },
            {"name": "operation", "description": "Probes for whoever runs the service."},
        ],
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call their functions
        # the framework's own looks for a configuration at each request, and would tell paths and queries
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.metrics = metrics
    app.state.served = app.state.refusal = app.state.shadow = app.state.tracing = None
    app.state.stopping = app.state.needs_key = False
    app.state.turns = Turns()
    app.state.in_flight = ()  # the server gives its own
    app.include_router(router)
    app.include_router(batch.router)
    app.include_router(events.router)
    app.include_router(metrics_router)
    app.include_router(open_inference)
    app.add_middleware(DirectRoutes, routes=DIRECT | batch.DIRECT | events.DIRECT)
    app.add_middleware(protect, read_settings)
    app.add_middleware(AccessLog)
    if traces:
        app.add_middleware(TraceRequests)
    handle_errors(app)

    def openapi() -> dict[str, Any]:
        document = build_openapi(app, app.state.served)
        if app.state.needs_key:
            document_keys(document, app.state.settings.serving.open_paths)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


@contextmanager
def _follow(app: FastAPI) -> Iterator[None]:
    """Load the champion, and follow it and, if it is scored as well, the challenger."""
    settings: Settings = app.state.settings
    registry, serving = open_registry(settings), settings.serving
    metrics: Metrics = app.state.metrics

    def load(version: str, threads: int) -> ServedModel:
        served = ServedModel.load(
            registry, version, serving.max_missing_share, threads, metrics.scored, serving.max_events
        )
        if app.state.tracing:
            app.state.tracing.trace_steps(served)
        return served

    champion = Follower(
        registry,
        "champion",
        find=lambda: find_champion(registry, app.state.served),
        load=partial(load, threads=cpus_per_worker()),
        retry_seconds=serving.reload_seconds,
    )
    challenger = Follower(
        registry,
        "challenger",
        find=lambda: find_challenger(registry),
        load=partial(load, threads=1),
        retry_seconds=serving.reload_seconds,
    )

    def publish() -> None:
        app.state.served, app.state.refusal = champion.served, champion.refusal

    with ExitStack() as stack:
        followers = [champion]
        if serving.shadow:
            followers.append(challenger)
            app.state.shadow = stack.enter_context(Shadow(challenger))
            for outcome in ("scored", "dropped", "unscorable", "failed"):
                metrics.follow(SHADOW, partial(getattr, app.state.shadow, outcome), outcome)
        for part, follower in zip(("champion", "challenger"), followers, strict=False):
            metrics.follow(LOADS, partial(getattr, follower, "loads"), part)
            metrics.follow(LOAD_FAILURES, partial(getattr, follower, "failures"), part)
        app.state.followers = followers
        stack.enter_context(Watch(followers, serving.reload_seconds, publish))
        yield


app = create_app()
