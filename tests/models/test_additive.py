"""The additive form: contributions that add up to what the estimator says, in numpy and in the graph."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pandas as pd
import pytest
from customer_frames import DTYPES, PLATT, SHAPES, FittedBaseline, draw_churn, fit_baseline, make_frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn_mlops.models.additive import AdditiveModel, CategoryTerm, LinearTerm, contributions_of, write_additive
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY
from churn_mlops.models.parity import LIMIT, build_edge_rows, prove_parity
from churn_mlops.onnx_session import open_session

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Kind


def _fit(name: str) -> FittedBaseline:
    frame = make_frame(SHAPES[name], rows=300)
    return fit_baseline(SHAPES[name], frame, draw_churn(frame))


@pytest.fixture(params=SHAPES)
def fitted(request: pytest.FixtureRequest) -> FittedBaseline:
    """A baseline on a frame of every shape."""
    return _fit(request.param)


def test_contributions_and_intercept_add_up_to_the_decision_function(fitted: FittedBaseline) -> None:
    """On all training rows and edge rows the sum is the estimator's own log-odds."""
    for frame in (fitted.frame, build_edge_rows(fitted.signature)):
        total = fitted.additive.intercept + _contributions(fitted, fitted.encode(frame)).sum(axis=1)
        np.testing.assert_allclose(total, fitted.model.decision_function(frame), atol=1e-9)


def test_the_calibrated_sum_is_the_probability(fitted: FittedBaseline) -> None:
    """Slope and offset turn the sum into exactly what predict_proba and the graph say."""
    log_odds = fitted.additive.intercept + _contributions(fitted, fitted.matrix).sum(axis=1)
    probability = 1 / (1 + np.exp(-(PLATT.a * log_odds + PLATT.c)))
    np.testing.assert_allclose(probability, fitted.model.predict_proba(fitted.frame)[:, 1], atol=1e-9)
    np.testing.assert_allclose(probability, _run(fitted, fitted.matrix)[PROBABILITY], atol=1e-7)


def test_every_contribution_averages_zero_over_the_training_rows(fitted: FittedBaseline) -> None:
    """A contribution is measured from the average customer, so over all of them it cancels out."""
    np.testing.assert_allclose(_contributions(fitted, fitted.matrix).mean(axis=0), 0, atol=1e-9)


def test_the_graph_gives_the_same_contributions(fitted: FittedBaseline) -> None:
    """ONNX Runtime and numpy agree, also on codes and numbers that training never held."""
    matrix = np.vstack([fitted.matrix, fitted.encode(build_edge_rows(fitted.signature))])
    np.testing.assert_allclose(
        _run(fitted, matrix)[CONTRIBUTIONS], _contributions(fitted, matrix), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("code", [-5.0, 1e9, 3.4e38, -3.4e38])
def test_a_code_beyond_the_table_stays_in_its_own_feature(code: float) -> None:
    """A code that cannot be gives a contribution of the feature's own terms, not of its neighbour's."""
    fitted = _fit("only categorical")
    row = fitted.matrix[:1].copy()
    row[0, 0] = code
    term = fitted.additive.terms[0]
    assert isinstance(term, CategoryTerm)
    own = np.array([*term.by_code, term.other, term.missing])
    assert np.isclose(_run(fitted, row)[CONTRIBUTIONS][0, 0], own, atol=1e-6).any()


def test_one_row_scores_as_it_does_among_many(fitted: FittedBaseline) -> None:
    """No row's score depends on the rows beside it."""
    alone = [_run(fitted, fitted.matrix[row : row + 1])[PROBABILITY][0] for row in range(20)]
    np.testing.assert_array_equal(alone, _run(fitted, fitted.matrix[:20])[PROBABILITY])


@pytest.mark.parametrize(
    ("kind", "late_values"),
    [("numeric", [np.nan, 0, 1, -1e30]), ("boolean", [np.nan, 0, 1]), ("categorical", [np.nan, -0.5])],
)
def test_a_feature_that_was_never_present_contributes_nothing(kind: Kind, late_values: list[float]) -> None:
    """An always-missing column is carried along at 0, as the solver leaves it, also for a value that turns up later."""
    kinds: dict[str, Kind] = {"tenure": "numeric", "empty": kind}
    frame = make_frame(kinds)
    frame["empty"] = pd.Series([None] * len(frame), dtype=DTYPES[kind])
    fitted = fit_baseline(kinds, frame, draw_churn(frame))
    late = np.array([[50, value] for value in late_values])
    np.testing.assert_allclose(_contributions(fitted, late)[:, 1], 0, atol=1e-3)
    np.testing.assert_allclose(_run(fitted, late)[CONTRIBUTIONS][:, 1], 0, atol=1e-3)


@pytest.mark.parametrize(
    ("value", "contribution"), [(0, 1.0), (10, 1.0), (15, 2.0), (20, 3.0), (1e300, 3.0), (-1e300, 1.0), (np.nan, -7.0)]
)
def test_a_linear_term_is_flat_beyond_its_range(value: float, contribution: float) -> None:
    """Between low and high it rises with its slope; outside it stays; missing has a contribution of its own."""
    term = LinearTerm(low=10, high=20, at_low=1, slope=0.2, missing=-7)
    assert contributions_of(term, np.array([value]))[0] == pytest.approx(contribution)


@pytest.mark.parametrize(
    ("code", "contribution"), [(0, 0.1), (1, 0.2), (-0.5, 0.5), (0.5, 0.5), (1.5, 0.5), (np.nan, 0.9)]
)
def test_a_category_term_is_a_table(code: float, contribution: float) -> None:
    """Each code, any other category, and missing have one contribution each."""
    assert contributions_of(CategoryTerm((0.1, 0.2), 0.5, 0.9), np.array([code]))[0] == contribution


def test_the_graph_reads_the_same_table() -> None:
    """Whole codes, any half and missing give the same in ONNX Runtime; two features do not share a table."""
    model = AdditiveModel((CategoryTerm((0.1, 0.2), 0.5, 0.9), CategoryTerm((1, 2, 3), 4, 5)), 0.0)
    codes = np.array([[0, 2.5], [1, 0], [-0.5, 2], [0.5, np.nan], [1.5, 1], [np.nan, -0.5]])
    found = open_session(write_additive(model, Calibration())).run([CONTRIBUTIONS], {INPUT: codes.astype(np.float32)})
    np.testing.assert_allclose(found[0], [[0.1, 4], [0.2, 1], [0.5, 3], [0.5, 5], [0.5, 2], [0.9, 4]], rtol=1e-6)


def test_the_graph_needs_no_recent_runtime() -> None:
    """It is checked by ONNX, in operators of versions that runtimes have known for years."""
    graph = onnx.load_from_string(write_additive(_fit("mixed kinds").additive, PLATT))
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 17), ("ai.onnx.ml", 3)]


def test_equal_models_are_written_as_equal_bytes() -> None:
    """The graph's hash names its content: nothing of the moment gets into it."""
    additive = _fit("mixed kinds").additive
    assert write_additive(additive, PLATT) == write_additive(dataclasses.replace(additive), PLATT)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.integers(-3, 3).map(float),
    st.floats(-1e6, 1e6, allow_subnormal=False),
)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "numeric": NUMBERS,
    "boolean": st.booleans(),
    "categorical": st.sampled_from(["a", "b", "c", "", "Ünïcode", "a b", "\x00", "None", "nan"]),
}


@st.composite
def _frames(draw: st.DrawFn) -> tuple[dict[str, Kind], pd.DataFrame, npt.NDArray[np.bool_]]:
    """A frame of one to four columns with a numbering that keeps its rows different, and any outcomes."""
    chosen = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    rows = draw(st.integers(12, 30))
    kinds: dict[str, Kind] = {"numbering": "numeric"}
    kinds |= {f"f{place}": kind for place, kind in enumerate(chosen)}
    columns: dict[str, object] = {"numbering": np.arange(rows, dtype="float64")}
    for name, kind in list(kinds.items())[1:]:
        values = draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows))
        columns[name] = pd.Series(values, dtype=DTYPES[kind])
    churned = np.array(draw(st.permutations([True] * 6 + [False] * (rows - 6))))
    return kinds, pd.DataFrame(columns), churned


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(_frames())
def test_any_frame_is_exported_faithfully(
    drawn: tuple[dict[str, Kind], pd.DataFrame, npt.NDArray[np.bool_]],
) -> None:
    """Whatever a small frame holds, the graph that is read off the fitted estimator passes the parity check."""
    kinds, frame, churned = drawn
    fitted = fit_baseline(kinds, frame, churned, rare_category_rows=2)
    parity = prove_parity(fitted.export(fitted.additive), fitted.model, frame)
    assert max(parity.rows, parity.edge_rows) <= LIMIT


def _contributions(fitted: FittedBaseline, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.column_stack([contributions_of(term, matrix[:, p]) for p, term in enumerate(fitted.additive.terms)])


def _run(fitted: FittedBaseline, matrix: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float32]]:
    session = open_session(write_additive(fitted.additive, PLATT))
    outputs = [PROBABILITY, CONTRIBUTIONS]
    return dict(zip(outputs, session.run(outputs, {INPUT: matrix.astype(np.float32)}), strict=True))
