"""Puts the report of a freshly trained version together from what the training job has at hand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from churn_mlops.errors import ChurnMlopsError
from churn_mlops.models.frame_encoder import encode_frame
from churn_mlops.registry.manifest import OUT_OF_FOLD
from churn_mlops.training.deciding import draw_decision
from churn_mlops.training.out_of_fold import read_out_of_fold
from churn_mlops.training.report.content import Champion, ProfitCurve, ReportContent
from churn_mlops.training.report.effects import measure_effects, read_contributions
from churn_mlops.training.report.pairs import measure_pairs

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
    family: object,
    table: CustomerTable,
    probability: npt.NDArray[np.float64],
    settings: Settings,
    registry: Registry,
) -> bytes:
    """Write the report of a version that is about to be registered.

    Args:
        draft: its manifest; version and file hashes are not looked at.
        graph: its model.onnx, whose contributions are shown.
        family: the fitted model in it, whose terms of two features are shown.
        table: the customers that were evaluated.
        probability: float64 [rows], out of fold.
        settings: the configuration that it was trained with.
        registry: where the champion to compare it with is.
    """
    # matplotlib takes half a second and a writable folder, which no command but training should need
    from churn_mlops.training.report.page import write_report

    matrix = encode_frame(draft.signature, table.features)
    return write_report(
        ReportContent(
            manifest=draft,
            churned=table.churned,
            probability=probability,
            effects=measure_effects(read_contributions(graph), draft.signature, matrix, settings.training.seed),
            pairs=measure_pairs(family, draft.signature, matrix, settings.training.seed),
            champion=find_champion(registry),
            profit=_draw_profit(draft, table, probability),
            rejects=Counter(reject.reason for reject in table.rejects),
        )
    )


def find_champion(registry: Registry) -> Champion | None:
    """Find what a new version is compared with; None where there is no champion, or none that passes its checks."""
    aliases = registry.aliases()
    if aliases is None or aliases.champion is None:
        return None
    try:
        manifest = registry.read(aliases.champion)
        if OUT_OF_FOLD not in manifest.files:
            return Champion(manifest)
        kept = read_out_of_fold(registry, manifest)
        return Champion(manifest, kept.churned[kept.held_out], kept.probability[kept.held_out])
    except ChurnMlopsError:  # training is how a spoilt champion is replaced, so it does not stop for it
        return None


def _draw_profit(draft: Manifest, table: CustomerTable, probability: npt.NDArray[np.float64]) -> ProfitCurve | None:
    parameters = draft.decision.parameters
    if parameters is None:
        return None
    curve = draw_decision(draft.decision, table, probability)
    value = parameters.value_column or f"{parameters.customer_value:g}"
    sentence = (
        f"A contact costs {parameters.offer_cost:g}; of those who would leave, {parameters.save_rate:.0%} stay for it, "
        f"and each is then worth {value}. Customers are contacted in the order of their expected profit."
    )
    return ProfitCurve(curve.contacted_share, curve.height, curve.chosen_share, sentence=sentence)
