"""The model that is being served, with what requests to it must look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_mlops.api.request_schema import RequestSchema
from churn_mlops.inference.prediction import Predictor
from churn_mlops.inference.scorer import Scorer, load_champion

if TYPE_CHECKING:
    from churn_mlops.registry.reading import Registry


@dataclass(frozen=True)
class ServedModel:
    """A loaded version, the schema of its requests, and what answers them."""

    scorer: Scorer
    schema: RequestSchema
    predictor: Predictor

    @property
    def version(self) -> str:
        """The name of the version."""
        return self.scorer.version

    @classmethod
    def load(cls, registry: Registry, max_missing_share: float) -> ServedModel:
        """Load the champion, for customers of whom at most this share of the features is missing.

        Raises:
            NoModel: there is none.
            RegistryError: it fails a check.
        """
        scorer = load_champion(registry)
        schema = RequestSchema(scorer.manifest.signature, scorer.manifest.decision.mode)
        return cls(scorer, schema, Predictor(scorer, max_missing_share))
