"""What goes into a report: the version's manifest, what was predicted of whom, and what each feature does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from churn_mlops.config.settings import Kind
    from churn_mlops.registry.manifest import Manifest

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """What one feature does to the risk, in log-odds before calibration.

    A numeric feature has a `grid`, any other has `categories`; the arrays with [points] have one entry for each of
    them. A feature that no customer has a value of has none.

    Attributes:
        feature: its name.
        kind: numeric, boolean or categorical.
        grid: float64 [points], ascending: the mean value of the customers at each point; empty for other kinds.
        categories: in words, most frequent first; empty for numeric features.
        contribution: float64 [points], the mean over the customers at that point.
        low: float64 [points], 10 % of them have a lower contribution.
        high: float64 [points], 10 % of them have a higher one.
        share: float64 [points], share of all customers at each point.
        density_edges: float64 [bins + 1], ends of the bins that `density` counts; empty for other kinds, and for
            few distinct numbers, each of which is a point of its own.
        density: float64 [bins], share of all customers in each bin.
        missing_contribution: mean contribution of the customers whose value is missing; None where there are none.
        missing_share: their share of all customers.
        importance: mean absolute contribution over all customers.
    """

    feature: str
    kind: Kind
    grid: Floats
    categories: tuple[str, ...]
    contribution: Floats
    low: Floats
    high: Floats
    share: Floats
    density_edges: Floats
    density: Floats
    missing_contribution: float | None
    missing_share: float
    importance: float


@dataclass(frozen=True)
class PairEffect:
    """What two features do together, beyond what each does alone.

    Attributes:
        first: name of the feature along the rows of `contribution`.
        second: name of the feature along its columns.
        first_values: in words (a category, a bin), one per row.
        second_values: likewise, one per column.
        contribution: float64 [first_values, second_values], in log-odds before calibration, the mean over the
            customers with these values; NaN where there are none.
        importance: its mean absolute value over all customers.
    """

    first: str
    second: str
    first_values: tuple[str, ...]
    second_values: tuple[str, ...]
    contribution: Floats
    importance: float


@dataclass(frozen=True)
class ProfitCurve:
    """What contacting the customers scored highest is worth.

    Attributes:
        contacted_share: float64 [points], ascending, 0 to 1.
        profit_per_customer: float64 [points], over all customers, contacted or not.
        chosen_share: the share that the decision threshold contacts.
        unit: of the profit, such as a currency.
        sentence: on what costs and gains it rests.
    """

    contacted_share: Floats
    profit_per_customer: Floats
    chosen_share: float
    unit: str = "currency units"
    sentence: str = ""


@dataclass(frozen=True)
class Champion:
    """The version that was served when this one was made.

    Attributes:
        manifest: its manifest.
        churned: bool [rows], the outcomes that its probabilities were measured on; None where they are not known.
        probability: float64 [rows], out of fold; None likewise.
    """

    manifest: Manifest
    churned: npt.NDArray[np.bool_] | None = None
    probability: Floats | None = None


@dataclass(frozen=True)
class ReportContent:
    """All that a report shows.

    Attributes:
        manifest: of the version, as a draft: its name is a hash over the hashes of its files, this report's among
            them, so the report is written before the name is known.
        churned: bool [rows], the outcomes.
        probability: float64 [rows], out of fold.
        effects: one per feature, in the order of the signature.
        pairs: strongest first, for models that have terms of two features.
        champion: what the version is compared with; None for the first.
        profit: None where costs and gains are not known.
        rejects: how many rows were rejected, by reason.
    """

    manifest: Manifest
    churned: npt.NDArray[np.bool_]
    probability: Floats
    effects: tuple[Effect, ...]
    pairs: tuple[PairEffect, ...] = ()
    champion: Champion | None = None
    profit: ProfitCurve | None = None
    rejects: Mapping[str, int] = field(default_factory=dict)
