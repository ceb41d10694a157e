"""Effects: what the contributions of a graph say of each feature, whatever family they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from churn_mlops.models.additive import AdditiveModel, CategoryTerm, LinearTerm, write_additive
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.signature import LARGEST_NUMBER, Feature, Signature
from churn_mlops.training.report import effects
from churn_mlops.training.report.effects import MOST_CATEGORIES, RARE, measure_effects, read_contributions

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.training.report.content import Effect

TENURE = Feature(name="tenure", kind="numeric", minimum=0, maximum=100, typical=50.0)
PLAN = Feature(name="plan", kind="categorical", categories=("month", "year"), typical="month")
PAPERLESS = Feature(name="paperless", kind="boolean", typical=True)


def _measure(feature: Feature, values: npt.ArrayLike, contributions: npt.ArrayLike) -> Effect:
    """Measure one feature whose contribution is given for each customer."""
    matrix = np.asarray(values, dtype=np.float64)[:, np.newaxis]
    answer = np.asarray(contributions, dtype=np.float32)[:, np.newaxis]
    (effect,) = measure_effects(lambda _: answer, Signature(features=(feature,)), matrix)
    return effect


def test_the_terms_of_an_additive_model_are_found_in_its_graph() -> None:
    """A slope, a table of categories and a contribution for missing values come back as they were written."""
    model = AdditiveModel(
        (
            LinearTerm(0.0, 100.0, 1.0, -0.02, 0.5),
            CategoryTerm((0.3, -0.6), 0.1, -0.2),
            LinearTerm(0.0, 1.0, -0.1, 0.2, 0.0),
        ),
        intercept=-1.0,
    )
    random = np.random.default_rng(0)
    matrix = np.column_stack(
        [random.uniform(0, 100, 2000), random.choice([-0.5, 0, 1], 2000), random.integers(0, 2, 2000)]
    ).astype(np.float64)
    matrix[:100, :2] = np.nan
    signature = Signature(features=(TENURE, PLAN, PAPERLESS))
    tenure, plan, paperless = measure_effects(
        read_contributions(write_additive(model, Calibration())), signature, matrix
    )
    np.testing.assert_allclose(tenure.contribution, 1 - 0.02 * tenure.grid, atol=1e-5)
    assert tenure.missing_contribution == pytest.approx(0.5)
    assert dict(zip(plan.categories, plan.contribution.round(6), strict=True)) == {
        "month": 0.3,
        "year": -0.6,
        RARE: 0.1,
    }
    np.testing.assert_allclose(paperless.contribution[np.argsort(paperless.categories)], [-0.1, 0.1], atol=1e-6)


def test_a_feature_that_acts_alone_has_no_band() -> None:
    """Where equal values always contribute equally, the 10th and 90th percentile are the mean."""
    effect = _measure(PLAN, [0, 0, 1, 1], [0.5, 0.5, -1, -1])
    np.testing.assert_array_equal(effect.low, effect.contribution)
    np.testing.assert_array_equal(effect.high, effect.contribution)


def test_the_band_holds_the_middle_of_the_customers() -> None:
    """Where it acts together with others, 10 % of the customers at a value lie below the band and 10 % above."""
    effect = _measure(PLAN, np.zeros(101), np.arange(101))
    assert (effect.low[0], effect.contribution[0], effect.high[0]) == (10, 50, 90)


def test_shares_and_missing_add_up_to_all_customers() -> None:
    """Every customer is at one point or missing, and in one bin of the density."""
    values = np.random.default_rng(0).normal(0, 1, 1000)
    values[:50] = np.nan
    effect = _measure(TENURE, values, np.zeros(1000))
    assert effect.missing_share == 0.05
    assert effect.share.sum() + effect.missing_share == pytest.approx(1)
    assert effect.density.sum() + effect.missing_share == pytest.approx(1)


def test_importance_counts_every_customer_in_either_direction() -> None:
    """It is the mean absolute contribution, missing values included."""
    assert _measure(TENURE, [1, 2, np.nan, 4], [1, -1, 3, -3]).importance == 2


def test_a_long_tail_is_left_out_of_the_density_only() -> None:
    """One outlier does not squeeze all others into a single bar; the curve still averages over it."""
    values = np.append(np.linspace(0, 10, 999), 1e6)
    effect = _measure(TENURE, values, np.zeros(1000))
    assert effect.density_edges[-1] < 11
    assert effect.grid[-1] > 10_000
    assert effect.share.sum() == pytest.approx(1)


def test_few_numbers_are_points_of_their_own() -> None:
    """0 and 1 are two points with their shares, not a curve over what lies between."""
    effect = _measure(TENURE, [0, 0, 0, 1], [1, 1, 1, -1])
    assert (effect.grid.tolist(), effect.share.tolist(), len(effect.density)) == ([0, 1], [0.75, 0.25], 0)


def test_categories_come_most_frequent_first_and_the_rest_together() -> None:
    """A feature of a hundred categories is summed up to a number that can be read."""
    feature = Feature(name="city", kind="categorical", categories=tuple(f"c{number}" for number in range(100)))
    codes = np.repeat(np.arange(100), np.arange(100, 0, -1))
    effect = _measure(feature, codes, np.zeros(len(codes)))
    assert len(effect.categories) == MOST_CATEGORIES
    assert effect.categories[:2] == ("c0", "c1")
    assert effect.categories[-1] == "86 other categories"
    assert effect.share.sum() == pytest.approx(1)


def test_a_feature_that_was_never_present_has_no_points() -> None:
    """It is all missing, and that is its effect."""
    effect = _measure(Feature(name="empty", kind="numeric"), np.full(10, np.nan), np.full(10, 0.25))
    assert (len(effect.grid), len(effect.density), effect.missing_share) == (0, 0, 1)
    assert effect.missing_contribution == 0.25


@pytest.mark.parametrize("values", [[7.0] * 50, np.linspace(-LARGEST_NUMBER, LARGEST_NUMBER, 50)])
def test_strange_numbers_give_finite_effects(values: npt.ArrayLike) -> None:
    """A constant, and the largest numbers there are, are measured without a warning or an infinity."""
    effect = _measure(TENURE, values, np.zeros(50))
    assert np.isfinite([*effect.grid, *effect.density_edges, *effect.share]).all()


def test_a_large_table_is_sampled_the_same_way_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed decides which customers are drawn, and no more than the limit are scored."""
    monkeypatch.setattr(effects, "MOST_CUSTOMERS", 100)
    seen = []

    def contribute(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        seen.append(matrix)
        return matrix

    matrix = np.arange(1000, dtype=np.float64)[:, np.newaxis]
    for seed in (0, 0, 1):
        measure_effects(contribute, Signature(features=(TENURE,)), matrix, seed)
    assert len(seen[0]) == 100
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
