"""Puts the report of a freshly trained version together from what the training job has at hand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from churn_mlops.errors import ChurnMlopsError
from churn_mlops.models.frame_encoder import FrameEncoder
from churn_mlops.training.report.content import Champion, ProfitCurve, ReportContent
from churn_mlops.training.report.effects import measure_effects, read_contributions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.registry.reading import Registry


def report_version(
    draft: Manifest,
    graph: bytes,
    table: CustomerTable,
    probability: npt.NDArray[np.float64],
    settings: Settings,
    registry: Registry,
    profit: ProfitCurve | None = None,
) -> bytes:
    """Write the report of a version that is about to be registered.

    Args:
        draft: its manifest; version and file hashes are not looked at.
        graph: its model.onnx, whose contributions are shown.
        table: the customers.
        probability: float64 [rows], out of fold.
        settings: the configuration that it was trained with.
        registry: where the champion to compare it with is.
        profit: None where costs and gains are not known.
    """
    # matplotlib takes half a second and a writable folder, which no command but training should need
    from churn_mlops.training.report.page import write_report

    encoder = FrameEncoder(table.kinds, settings.data.rare_category_rows)
    matrix = encoder.fit_transform(table.features)
    return write_report(
        ReportContent(
            manifest=draft,
            churned=table.churned,
            probability=probability,
            effects=measure_effects(read_contributions(graph), draft.signature, matrix, settings.training.seed),
            champion=find_champion(registry),
            profit=profit,
            rejects=Counter(reject.reason for reject in table.rejects),
        )
    )


def find_champion(registry: Registry) -> Champion | None:
    """Find what a new version is compared with; None where there is no champion, or none that passes its checks."""
    aliases = registry.aliases()
    if aliases is None or aliases.champion is None:
        return None
    try:
        return Champion(registry.read(aliases.champion))
    except ChurnMlopsError:  # training is how a spoilt champion is replaced, so it does not stop for it
        return None
