"""The cells: which types and intervals there are."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from churn_mlops.config.settings import ChurnSettings
from churn_mlops.features.cells import choose_types, cut_days, to_day

COUNTS = {"login": 9, "usage": 5, "email": 5, "ticket": 1}


@pytest.mark.parametrize(
    ("wanted", "active", "types"),
    [
        (8, [], ("login", "email", "usage", "ticket")),
        (2, [], ("login", "email", "other")),
        (2, ["ticket"], ("ticket", "login", "other")),
        (("usage", "new"), ["ticket"], ("ticket", "usage", "new", "other")),
    ],
)
def test_types_are_the_most_frequent_or_those_named(
    wanted: int | tuple[str, ...], active: list[str], types: tuple[str, ...]
) -> None:
    """Types that show activity are always among them; of equally frequent ones the order is that of their names."""
    assert choose_types(COUNTS, ChurnSettings(event_types=tuple(active)), wanted) == types


def test_every_window_ends_at_an_edge_and_no_interval_is_longer_than_its_bits() -> None:
    """Windows, the windows before them, activity, lead days and horizons; days are bits of a whole number."""
    snapshots = (date(2024, 1, 1), date(2024, 7, 1))
    churn = ChurnSettings(active_days=365, lead_days=3, horizon_days=(30, 90))
    edges = cut_days(snapshots, (7, 30), churn)
    for snapshot in snapshots:
        offsets = (-365, -60, -30, -14, -7, 0, 3, 33, 93)
        assert {to_day(snapshot) + offset for offset in offsets} <= set(edges)
    assert all(0 < end - begin <= 60 for begin, end in pairwise(edges))


@pytest.mark.parametrize(
    ("wanted", "types"), [(2, ("login", "usage", "other")), (("other", "usage"), ("usage", "other"))]
)
def test_a_type_called_other_counts_with_the_rest(wanted: int | tuple[str, ...], types: tuple[str, ...]) -> None:
    """However frequent it is, and whether it is named: there is one of that name."""
    assert choose_types({"other": 10, "login": 9, "usage": 5}, ChurnSettings(), wanted) == types
