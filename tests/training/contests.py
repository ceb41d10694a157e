"""Makes contests: a registry whose champion was trained on a table, and challengers trained on what a test likes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from learnable_tables import draw_customers, write_settings

from churn_mlops.registry.manifest import GRAPH, OUT_OF_FOLD
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register
from churn_mlops.training.job import train_baseline
from churn_mlops.training.out_of_fold import read_out_of_fold

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from churn_mlops.config.settings import Settings

CUSTOMERS = draw_customers(3000).assign(
    calls=lambda frame: np.random.default_rng(1).poisson(np.where(frame["churned"], 2.0, 1.0)).astype(float)
)
"""Churners call a little more often than those who stay; on its own that says less than the tenure."""


@dataclasses.dataclass(frozen=True)
class Contest:
    """A registry, and the table on which its versions are compared.

    Attributes:
        folder: holds `artifacts` and every table.
        settings: they name the table of the contest.
    """

    folder: Path
    settings: Settings

    @property
    def registry(self) -> Registry:
        """The registry of the contest."""
        return Registry(self.settings.artifacts.path)

    def train(self, customers: pd.DataFrame, **data: object) -> str:
        """Train a version on other customers."""
        return train_baseline(self.compare_on(customers, **data).settings).manifest.version

    def compare_on(self, customers: pd.DataFrame, **data: object) -> Contest:
        """Give the same registry, with other customers to compare on."""
        folder = self.folder / f"table-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        named = write_settings(folder, customers, **data)
        return dataclasses.replace(self, settings=named.model_copy(update={"artifacts": self.settings.artifacts}))

    def ask(self, **promotion: float) -> Contest:
        """Give the same contest under other demands."""
        demands = self.settings.promotion.model_copy(update=promotion)
        return dataclasses.replace(self, settings=self.settings.model_copy(update={"promotion": demands}))

    def replace_files(self, version: str, **files: bytes | None) -> str:
        """Register a copy of a version with another graph or out-of-fold file, or without one."""
        manifest = self.registry.read(version)
        old = {name: self.registry.read_file(manifest, name) for name in (GRAPH, OUT_OF_FOLD)}
        new = old | {{"graph": GRAPH, "out_of_fold": OUT_OF_FOLD}[key]: content for key, content in files.items()}
        kept = {name: content for name, content in new.items() if content is not None}
        return register(self.registry, manifest, kept).version

    def read_graph(self, version: str) -> bytes:
        """Read what a version serves."""
        return self.registry.read_file(self.registry.read(version))

    def flatter(self, version: str) -> bytes:
        """Write the out-of-fold file of a version as if it had known a little of every outcome."""
        known = read_out_of_fold(self.registry, self.registry.read(version))
        return dataclasses.replace(known, probability=0.8 * known.probability + 0.2 * known.churned).to_csv()


def open_contest(folder: Path, customers: pd.DataFrame = CUSTOMERS) -> Contest:
    """Train the champion on the table of the contest."""
    settings = write_settings(folder, customers)
    train_baseline(settings)
    return Contest(folder, settings)
