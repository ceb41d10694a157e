"""The steps of a job: counted as they begin, with what time is left, corrected by the time that the others took."""

from __future__ import annotations

import pytest

from churn_mlops.training.steps import Step, Steps


class Clock:
    """A clock that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


def _steps(expected: list[float]) -> tuple[Steps, list[Step], Clock]:
    heard: list[Step] = []
    clock = Clock()
    return Steps(heard.append, expected, now=clock), heard, clock


def test_steps_are_numbered_up_to_their_total() -> None:
    """What a step goes on with has its number."""
    steps, heard, _ = _steps([0.0, 0.0])
    steps.begin("reading")
    steps.detail("a row")
    steps.begin("fitting")
    assert heard == [Step("reading", 1, 2), Step("reading: a row", 1, 2), Step("fitting", 2, 2)]


def test_time_left_is_what_the_steps_are_expected_to_take() -> None:
    """And falls within a step, but not below what those after it take."""
    steps, heard, clock = _steps([10.0, 20.0, 30.0])
    steps.begin("reading")
    clock.seconds += 4
    steps.detail("half")
    clock.seconds += 100
    steps.detail("late")
    assert [step.seconds_left for step in heard] == [60, 56, 50]


def test_time_left_is_corrected_by_the_steps_that_are_over() -> None:
    """On a machine half as fast as was expected, what is left goes towards twice as long."""
    steps, heard, clock = _steps([10.0, 20.0, 30.0])
    steps.begin("reading")
    clock.seconds += 20
    steps.begin("fitting")
    clock.seconds += 40
    steps.begin("proving")
    assert [step.seconds_left for step in heard] == pytest.approx([60, 50 * 26 / 16, 30 * 66 / 36])


def test_a_moment_says_little_of_the_pace() -> None:
    """A step of a second that takes three does not triple an hour."""
    steps, heard, clock = _steps([1.0, 3600.0])
    steps.begin("reading")
    clock.seconds += 3
    steps.begin("fitting")
    assert heard[-1].seconds_left == pytest.approx(3600, rel=0.01)


def test_steps_that_are_left_out_take_no_time() -> None:
    """Neither are they waited for, nor does the one that was broken off count for the pace."""
    steps, heard, clock = _steps([10.0, 500.0, 500.0, 30.0])
    steps.begin("reading")
    clock.seconds += 10
    steps.begin("boosted: tuning")
    clock.seconds += 1000
    steps.skip_to(3)
    steps.begin("ebm: tuning")
    assert (heard[-1].number, heard[-1].total, heard[-1].seconds_left) == (4, 4, 30)


def test_what_is_expected_can_be_known_later() -> None:
    """Nothing is said before, and an earlier pace is forgotten."""
    steps, heard, clock = _steps([0.0, 0.0, 0.0])
    steps.begin("reading")
    clock.seconds += 1000
    steps.expect([40.0, 2.0])
    steps.begin("fitting")
    assert [step.seconds_left for step in heard] == [None, 42]
