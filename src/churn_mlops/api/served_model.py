"""The model that is being served, with what requests to it must look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_mlops.api.request_schema import RequestSchema
from churn_mlops.inference.scorer import Scorer, load_champion

if TYPE_CHECKING:
    from churn_mlops.registry.reading import Registry


@dataclass(frozen=True)
class ServedModel:
    """A loaded version and the schema of its requests."""

    scorer: Scorer
    schema: RequestSchema

    @property
    def version(self) -> str:
        """The name of the version."""
        return self.scorer.version

    @classmethod
    def load(cls, registry: Registry) -> ServedModel:
        """Load the champion.

        Raises:
            NoModel: there is none.
            RegistryError: it fails a check.
        """
        scorer = load_champion(registry)
        return cls(scorer, RequestSchema(scorer.manifest.signature, scorer.manifest.decision.mode))
