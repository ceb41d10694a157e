"""The parity check: what it looks at, and that it refuses a graph which is wrong in any one place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pandas as pd
import pytest
from customer_frames import MIXED, PLATT, FittedBaseline, draw_churn, fit_baseline, make_frame
from onnx import helper, numpy_helper

from churn_mlops.errors import ParityError
from churn_mlops.models.additive import AdditiveModel, CategoryTerm, LinearTerm
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.export import ExportedModel
from churn_mlops.models.graph_contract import CONTRIBUTIONS
from churn_mlops.models.parity import LIMIT, Parity, build_edge_rows, prove_parity

if TYPE_CHECKING:
    from collections.abc import Callable

    from churn_mlops.models.signature import Feature

SLIGHTLY = 5 * LIMIT
"""Wrong by little: five times what is allowed."""

TENURE, PLAN, PAPERLESS, CHARGES, CITY = range(5)
"""Where each feature of MIXED stands."""

WITH_MISSING = make_frame(MIXED)
COMPLETE = make_frame(MIXED, missing_share=0)
FITTED = fit_baseline(MIXED, WITH_MISSING, draw_churn(WITH_MISSING))
FITTED_COMPLETE = fit_baseline(MIXED, COMPLETE, draw_churn(COMPLETE))
"""Nothing was missing in training here, so only an edge row can show what missing does."""


def _prove(model: AdditiveModel, fitted: FittedBaseline = FITTED) -> Parity:
    return prove_parity(fitted.export(model), fitted.model, fitted.frame)


def _with_term(model: AdditiveModel, place: int, **changes: object) -> AdditiveModel:
    terms = list(model.terms)
    terms[place] = dataclasses.replace(terms[place], **changes)  # type: ignore[arg-type]  # fields of either term
    return dataclasses.replace(model, terms=tuple(terms))


def _linear(model: AdditiveModel, place: int) -> LinearTerm:
    term = model.terms[place]
    assert isinstance(term, LinearTerm)
    return term


def _categories(model: AdditiveModel, place: int) -> CategoryTerm:
    term = model.terms[place]
    assert isinstance(term, CategoryTerm)
    return term


def _last_category_off(model: AdditiveModel) -> AdditiveModel:
    *others, last = _categories(model, CITY).by_code
    return _with_term(model, CITY, by_code=(*others, last + SLIGHTLY))


def _two_categories_swapped(model: AdditiveModel) -> AdditiveModel:
    first, second, *others = _categories(model, PLAN).by_code
    return _with_term(model, PLAN, by_code=(second, first, *others))


WRONG_MODELS: dict[str, Callable[[AdditiveModel], AdditiveModel]] = {
    "one slope": lambda m: _with_term(m, TENURE, slope=_linear(m, TENURE).slope * 1.001),
    "one level": lambda m: _with_term(m, CHARGES, at_low=_linear(m, CHARGES).at_low + SLIGHTLY),
    "a boolean's slope": lambda m: _with_term(m, PAPERLESS, slope=_linear(m, PAPERLESS).slope + SLIGHTLY),
    "one category": _last_category_off,
    "two categories swapped": _two_categories_swapped,
    "the other category": lambda m: _with_term(m, PLAN, other=_categories(m, PLAN).other + SLIGHTLY),
    "a missing number": lambda m: _with_term(m, TENURE, missing=_linear(m, TENURE).missing + SLIGHTLY),
    "a missing category": lambda m: _with_term(m, CITY, missing=_categories(m, CITY).missing + SLIGHTLY),
    "the upper end": lambda m: _with_term(m, TENURE, high=_linear(m, TENURE).high * 1.01),
    "the lower end": lambda m: _with_term(m, TENURE, low=_linear(m, TENURE).low - 1),
    "terms in another order": lambda m: dataclasses.replace(
        m, terms=(m.terms[CHARGES], *m.terms[1:3], m.terms[0], m.terms[4])
    ),
    "not a number when missing": lambda m: _with_term(m, TENURE, missing=np.nan),
    "the intercept": lambda m: dataclasses.replace(m, intercept=m.intercept + SLIGHTLY * 5),
}


WRONG_CALIBRATIONS = {
    "slope": dataclasses.replace(PLATT, a=0.901, b=0.901),
    "upper slope alone": dataclasses.replace(PLATT, b=0.901),
    "offset": dataclasses.replace(PLATT, c=PLATT.c + SLIGHTLY * 5),
    "none": Calibration(),
}


def test_a_faithful_graph_passes_with_room_to_spare() -> None:
    """The graph that is read off the estimator differs by float32 rounding only."""
    parity = _prove(FITTED.additive)
    assert max(parity.rows, parity.edge_rows) < LIMIT / 10


@pytest.mark.parametrize("wrong", WRONG_MODELS.values(), ids=WRONG_MODELS.keys())
def test_a_graph_that_is_wrong_in_one_place_is_refused(wrong: Callable[[AdditiveModel], AdditiveModel]) -> None:
    """One coefficient, one category or one missing value is enough."""
    with pytest.raises(ParityError, match=r"model\.onnx and the estimator differ by .* no version was written"):
        _prove(wrong(FITTED.additive))


@pytest.mark.parametrize("wrong", WRONG_CALIBRATIONS.values(), ids=WRONG_CALIBRATIONS.keys())
def test_a_wrong_calibration_is_refused(wrong: Calibration) -> None:
    """Contributions that are right do not excuse probabilities that are not."""
    with pytest.raises(ParityError):
        prove_parity(FITTED.export(FITTED.additive, wrong), FITTED.model, FITTED.frame)


@pytest.mark.parametrize("name", ["a missing number", "a missing category", "not a number when missing"])
def test_what_no_training_row_shows_is_found_on_edge_rows(name: str) -> None:
    """Where nothing was missing in training, a wrong contribution of missing is still refused."""
    with pytest.raises(ParityError, match="edge rows"):
        _prove(WRONG_MODELS[name](FITTED_COMPLETE.additive), FITTED_COMPLETE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_contributions_that_are_no_numbers_are_refused_though_the_probability_is_right(value: float) -> None:
    """NaN compares with nothing, and is no agreement."""
    graph = onnx.load_from_string(FITTED.export(FITTED.additive).graph)
    intercept = FITTED.additive.intercept
    last = next(node for node in graph.graph.node if CONTRIBUTIONS in node.output)
    last.output[0] = "right"
    graph.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.float32), "spoilt"))
    graph.graph.node.append(helper.make_node("Add", ["right", "spoilt"], [CONTRIBUTIONS]))
    with pytest.raises(ParityError):
        prove_parity(ExportedModel(graph.SerializeToString(), "additive", intercept), FITTED.model, FITTED.frame)


def test_the_last_row_of_a_long_table_is_compared_too() -> None:
    """Rows are compared chunk by chunk, and what is wrong on the very last of 50,001 is found there."""
    frame = pd.concat([COMPLETE] * 125 + [COMPLETE.iloc[:1].assign(tenure=np.nan)], ignore_index=True)
    wrong = WRONG_MODELS["not a number when missing"](FITTED_COMPLETE.additive)
    with pytest.raises(ParityError, match="the training rows"):
        prove_parity(FITTED_COMPLETE.export(wrong), FITTED_COMPLETE.model, frame)


EDGE_ROWS = build_edge_rows(FITTED.signature)


def test_one_edge_row_has_everything_missing() -> None:
    """The first row holds nothing at all."""
    assert EDGE_ROWS.iloc[0].isna().all()


def test_one_edge_row_is_strange_in_everything() -> None:
    """The second row has a number beyond float32 and texts that training never held."""
    strange = EDGE_ROWS.iloc[1]
    assert abs(strange["tenure"]) == abs(strange["charges"]) == 1e300
    assert all(feature.is_unseen(strange[feature.name]) for feature in FITTED.signature.features if feature.categories)


@pytest.mark.parametrize("feature", FITTED.signature.features, ids=lambda feature: str(feature.name))
def test_every_feature_has_edge_rows_of_its_own(feature: Feature) -> None:
    """Some rows are typical but for one feature: missing, and whatever it can be at its edges."""
    found = _values_where_all_else_is_typical(feature.name)
    assert found.isna().any()
    assert _edges_of(feature) <= set(found.dropna())


def _edges_of(feature: Feature) -> set[object]:
    if feature.kind == "boolean":
        return {True, False}
    if feature.kind == "categorical":
        return {feature.categories[0], feature.categories[-1], feature.rare_categories[0]}
    return {feature.minimum, feature.maximum, -1e300, 1e300, 0.0}


def _values_where_all_else_is_typical(name: str) -> pd.Series:
    others = [feature for feature in FITTED.signature.features if feature.name != name]
    typical = pd.Series(True, index=EDGE_ROWS.index)
    for feature in others:
        typical &= (EDGE_ROWS[feature.name] == feature.typical).fillna(False).astype(bool)
    return EDGE_ROWS.loc[typical, name]
