"""The registry that is served from, with the keys by which its versions have to be signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from churn_mlops.config import Settings


def open_registry(settings: Settings) -> Registry:
    """Open the registry of the configuration.

    Raises:
        KeyRefused: a file of serving.require_signature holds no public key.
    """
    if not settings.serving.require_signature:
        return Registry(settings.artifacts.path)
    # imported here, since it takes 12 MB and tens of milliseconds that nobody else should pay for
    from churn_mlops.registry.signatures import TrustedKeys

    return Registry(settings.artifacts.path, TrustedKeys.read(settings.serving.require_signature))
