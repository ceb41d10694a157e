"""Pairs: what two features do together, found again in an explainable model of customers who were drawn with it."""

from __future__ import annotations

import numpy as np
import pytest
from family_matrices import draw_matrix, quick_boosted, quick_ebm

from churn_mlops.models.ebm import find_interaction
from churn_mlops.models.signature import Feature, Signature
from churn_mlops.training.report import pairs
from churn_mlops.training.report.pairs import MOST_LEVELS, MOST_PAIRS, measure_pairs

MATRIX, CHURNED = draw_matrix(3000)
SIGNATURE = Signature(
    features=(
        Feature(name="tenure", kind="numeric"),
        Feature(name="plan", kind="categorical", categories=("a", "b", "c", "d", "e")),
        Feature(name="paperless", kind="boolean"),
        Feature(name="charges", kind="numeric"),
    )
)
EBM = quick_ebm(interactions=6).fit(MATRIX, CHURNED)
PAIRS = {(pair.first, pair.second): pair for pair in measure_pairs(EBM, SIGNATURE, MATRIX)}


def test_the_pair_that_was_drawn_is_the_strongest() -> None:
    """Only both together raise the risk, so that corner lies above what its neighbours say."""
    pair = next(iter(PAIRS.values()))
    assert (pair.first, pair.second) == ("plan", "paperless")
    cell = {
        (first, second): pair.contribution[row, column]
        for row, first in enumerate(pair.first_values)
        for column, second in enumerate(pair.second_values)
    }
    assert cell["e", "true"] > 0.1 > -0.1 > cell["e", "false"]
    assert cell["a", "false"] > 0 > cell["a", "true"]


def test_a_cell_is_the_mean_of_its_customers() -> None:
    """Counted by hand for the two kinds of a flag, of those whose number is missing."""
    pair = PAIRS["tenure", "paperless"]
    (table,) = [table for table in EBM.tables() if [axis.feature for axis in table.axes] == [0, 2]]
    contribution = find_interaction(table).look_up(MATRIX)
    assert pair.first_values[-1] == "missing"
    for column, flag in enumerate(pair.second_values):
        rows = np.isnan(MATRIX[:, 0]) & (MATRIX[:, 2] == (flag == "true"))
        assert pair.contribution[-1, column] == pytest.approx(contribution[rows].mean())
    assert pair.importance == pytest.approx(np.abs(contribution).mean())


def test_numbers_are_named_by_what_is_in_their_group() -> None:
    """Eight groups of about as many customers each, from the smallest to the largest number."""
    values = PAIRS["plan", "charges"].second_values
    assert len(values) == MOST_LEVELS
    assert (values[0].split(" to ")[0], values[-1].split(" to ")[1]) == ("0", "8.99")


def test_a_cell_without_customers_has_no_figure() -> None:
    """What the model would say of customers who are not there is not shown."""
    rows = ~((MATRIX[:, 1] == 4) & (MATRIX[:, 2] == 1))
    (pair,) = (p for p in measure_pairs(EBM, SIGNATURE, MATRIX[rows]) if (p.first, p.second) == ("plan", "paperless"))
    assert np.argwhere(np.isnan(pair.contribution)).tolist() == [
        [pair.first_values.index("e"), pair.second_values.index("true")]
    ]


def test_the_strongest_come_first_and_no_more_than_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their mean absolute contribution."""
    strength = [pair.importance for pair in PAIRS.values()]
    assert strength == sorted(strength, reverse=True)
    assert len(strength) == MOST_PAIRS == 6
    monkeypatch.setattr(pairs, "MOST_PAIRS", 2)
    assert [pair.importance for pair in measure_pairs(EBM, SIGNATURE, MATRIX)] == strength[:2]


def test_other_families_have_no_pairs() -> None:
    """Trees have no terms of their own for two features."""
    assert measure_pairs(quick_boosted().fit(MATRIX, CHURNED), SIGNATURE, MATRIX) == ()
