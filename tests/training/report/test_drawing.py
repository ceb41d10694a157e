"""Figures as parts of a page: ids that occur once, colours of the page, names that cannot break out."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from report_contents import HOSTILE

from churn_mlops.training.report.drawing import MAIN, draw, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _paint(figure: Figure, title: str = "") -> None:
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=MAIN, marker="o")
    axes.set_xlabel(title)


def test_equal_figures_are_equal_to_the_byte() -> None:
    """Neither a date nor a random id is in them."""
    assert draw(_paint, "one", "") == draw(_paint, "one", "")


def test_ids_begin_with_the_name_of_the_figure_and_are_referred_to() -> None:
    """Two figures on a page do not take each other's clip paths and markers."""
    svg = draw(_paint, "one", "")
    ids = re.findall(r'\bid="([^"]+)"', svg)
    references = re.findall(r'(?:url\(#|href="#)([^")]+)', svg)
    assert ids
    assert all(name.startswith("one-") for name in ids)
    assert set(ids) == set(references)


def test_colours_are_the_pages() -> None:
    """No colour is fixed, so that a dark page has light text and lines."""
    svg = draw(_paint, "one", "")
    assert "var(--main)" in svg
    assert re.findall(r"(?:fill|stroke): #\w+", svg) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_a_text(name: str) -> None:
    """Whatever a column is called, the figure is well-formed and the name is its text, to be read as it is."""
    svg = ET.fromstring(draw(lambda figure: _paint(figure, shorten(name)), "one", name))  # noqa: S314 - ours
    assert shorten(name) in [element.text for element in svg.iter("text")]
    assert not {"script", "img", "style"} & {element.tag for element in svg.iter()}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("tenure", "tenure"),
        ("x" * 22, "x" * 22),
        ("monthly_amount_in_the_last_90_days", "monthly_am…st_90_days"),
        ("two\nlines\x00", "two lines"),
        ("顧客の月額料金の平均値・過去九十日間", "顧客の月額…過去九十日間"[:6] + "九十日間"),
    ],
)
def test_a_long_name_loses_its_middle(name: str, shown: str) -> None:
    """Beginning and end tell long names apart; wide characters count twice."""
    assert len(shorten(name)) <= 22
    assert shorten(name)[0] == shown[0]
    assert shorten(name)[-3:] == shown[-3:]


def test_importing_it_says_nothing_where_there_is_no_home() -> None:
    """A job that runs as a user without a home prints no line about where fonts are kept."""
    environment = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", "import churn_mlops.training.report.drawing"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
