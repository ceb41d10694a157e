"""Draws matplotlib figures as SVG that becomes part of a page: its colours, its fonts, ids that occur once."""

from __future__ import annotations

import io
import logging
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

# without a home it tells of the folder that it keeps its fonts in instead, which a training job has no use for
logging.getLogger("matplotlib").setLevel(logging.ERROR)

import matplotlib as mpl  # noqa: E402 - it speaks while it is imported
from matplotlib.figure import Figure  # noqa: E402 - likewise
from matplotlib.ticker import FuncFormatter  # noqa: E402 - likewise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH: Final = 400
"""Width of a figure in its own pixels: about as wide as it is on a phone, so that its text is as large as drawn."""

INK, QUIET, MAIN, SECOND, THIRD, FILL = "#101112", "#b0b1b2", "#0072b2", "#d55e00", "#009e73", "#909192"
"""The colours of figures; the page replaces them by its own, which are others on a dark screen (Okabe and Ito 2008)."""

PERCENT: Final = FuncFormatter(lambda share, _: f"{100 * share:.3g}")
"""Writes the ticks of an axis whose label says (%)."""

_VARIABLES: Final = {
    INK: "var(--ink)",
    QUIET: "var(--line)",
    MAIN: "var(--main)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    FILL: "var(--fill)",
}
_STYLE: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "grid.alpha": 0.45,
    "grid.color": QUIET,
    "grid.linewidth": 0.6,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "churn-mlops",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a column's name is no formula
    "xtick.color": INK,
    "xtick.labelsize": 10,
    "ytick.color": INK,
    "ytick.labelsize": 10,
}
_SVG: Final = "{http://www.w3.org/2000/svg}"
_PLACES: Final = ("d", "x", "y", "transform")
_HREF: Final = "{http://www.w3.org/1999/xlink}href"


def draw(paint: Callable[[Figure], None], name: str, description: str, height: float = 270) -> Markup:
    """Draw a figure as an `<svg>` element that needs nothing from outside the page.

    Args:
        paint: adds axes and what is in them to an empty figure, `WIDTH` by `height` pixels.
        name: prefix of the ids within; each figure of a page has its own.
        description: what the figure shows, for those who cannot see it.
        height: in pixels.
    """
    with _styled():
        figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        paint(figure)
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(written.getvalue(), name, description)


def shorten(text: str, most: int = 22) -> str:
    """Write a name for a label: on one line, without its middle where it is long, every character printable."""
    shown = "".join(character if character.isprintable() else " " for character in text).strip()
    if _columns(shown) <= most:
        return shown
    begin, end = "", ""
    while _columns(begin) + _columns(end) < most - 3:
        if _columns(begin) <= _columns(end):
            begin += shown[len(begin)]
        else:
            end = shown[-len(end) - 1] + end
    return f"{begin}…{end}"


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


@contextmanager
def _styled() -> Iterator[None]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # the browser has other fonts than the one that text is measured with here
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _inline(svg: bytes, name: str, description: str) -> Markup:
    root = ET.fromstring(svg)  # noqa: S314 - written by matplotlib just now
    for drawn in root.iter():
        for child in list(drawn):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                drawn.remove(child)
    targets = _targets(root)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.tail = None
        if element.tag not in ("text", "tspan"):
            element.text = None  # line breaks between elements
        _rewrite(element, name, targets)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute)
    root.attrib.update({"role": "img", "aria-label": shorten(description, 120)})
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree has escaped every text in it


def _targets(root: ET.Element) -> set[str]:
    """Find the ids that something in the figure refers to; the others are left out."""
    values = [value for element in root.iter() for value in element.attrib.values()]
    return {found for value in values for found in re.findall(r"^#(.+)$|url\(#(.+?)\)", value) for found in found}


def _rewrite(element: ET.Element, name: str, targets: set[str]) -> None:
    if element.get("id") not in targets:
        element.attrib.pop("id", None)
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set("id", f"{name}-{value}")
        elif key == _HREF:
            element.attrib.pop(key)
            element.set("href", f"#{name}-{value.removeprefix('#')}")
        else:
            element.set(key, _restyle(value.replace("url(#", f"url(#{name}-")) if key not in _PLACES else _round(value))


def _round(value: str) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", value)  # a hundredth of a pixel is not seen


def _restyle(value: str) -> str:
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, variable)
    return re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", value)
