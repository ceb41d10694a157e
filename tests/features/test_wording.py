"""Words of a single event or day are in the singular, and an event type keeps its name."""

from __future__ import annotations

import pytest

from churn_mlops.features.wording import Unit, Wording


@pytest.mark.parametrize(
    ("unit", "words", "of_one"),
    [
        ("events", "login events in the last 7 days", "login event in the last 7 days"),
        ("events", "page_events events in the last 7 days", "page_events event in the last 7 days"),
        ("events", "page events events in the last 7 days", "page events event in the last 7 days"),
        ("days", "days with a days event in the last 7 days", "day with a days event in the last 7 days"),
        ("days", "days since the last rest days", "day since the last rest days"),
        ("share", "share of login events among all", "share of login events among all"),
    ],
)
def test_only_what_is_counted_is_in_the_singular(unit: Unit, words: str, of_one: str) -> None:
    """Not a part of an event type's name."""
    assert Wording(unit=unit, words=words).words_of_one == of_one
