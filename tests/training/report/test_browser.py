"""The report as a browser shows it, on a desk and on a phone: nothing cut, nothing overlapping, nothing loaded."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LOOK = """
<!DOCTYPE html><body style="margin:0">
<iframe id="page" style="border:0;width:WIDTHpx;height:900px" srcdoc="CONTENT"></iframe><pre id="found"></pre>
<script>
document.getElementById("page").addEventListener("load", event => {
  const page = event.target.contentDocument, cut = [], overlapping = []
  for (const svg of page.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect(), boxes = []
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect()
      if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2 ||
          box.bottom > frame.bottom + 2) cut.push(svg.ariaLabel + ": " + text.textContent)
      for (const [other, words] of boxes)
        if (Math.min(box.right, other.right) - Math.max(box.left, other.left) > 1 &&
            Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 3)
          overlapping.push(svg.ariaLabel + ": " + words + " | " + text.textContent)
      boxes.push([box, text.textContent])
    }
  }
  const unnamed = [...page.querySelectorAll("svg")].filter(svg => !svg.ariaLabel).length
  const loaded = event.target.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name)
  const root = page.documentElement, figures = page.querySelectorAll("svg").length
  document.getElementById("found").textContent = JSON.stringify(
    {width: root.clientWidth, needed: root.scrollWidth, figures, cut, overlapping, unnamed, loaded})
})
</script>
"""


@pytest.fixture(scope="module", params=[390, 1400])
def look(request: pytest.FixtureRequest, full_page: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser finds in the report at a width, and what it had to say about it."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs a browser on PATH to look at the report with: chromium or google-chrome")
    folder = tmp_path_factory.mktemp("browser")
    content = html.escape(full_page.decode())
    (folder / "look.html").write_text(
        LOOK.replace("WIDTH", str(request.param)).replace("CONTENT", content), encoding="utf-8"
    )
    done = _open(browser, folder, f"file://{folder}/look.html")
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    console = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    return {**json.loads(html.unescape(found)), "console": console}


def _open(browser: str, folder: Path, address: str) -> subprocess.CompletedProcess[bytes]:
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run"
    quiet = "--disable-sync --disable-background-networking --disable-component-update --enable-logging=stderr"
    own = [f"--user-data-dir={folder / 'profile'}", "--window-size=1500,1000", "--virtual-time-budget=10000"]
    return subprocess.run(
        [browser, *options.split(), *quiet.split(), *own, "--dump-dom", address],
        capture_output=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(folder)},
    )


def test_the_page_is_no_wider_than_the_screen(look: dict[str, Any]) -> None:
    """Only tables scroll sideways, each within itself."""
    assert look["needed"] <= look["width"]


def test_every_label_is_whole(look: dict[str, Any]) -> None:
    """No text of a figure reaches beyond it, however long the names are."""
    assert look["figures"] >= 60
    assert look["cut"] == []


def test_no_label_lies_on_another(look: dict[str, Any]) -> None:
    """All texts of a figure can be read."""
    assert look["overlapping"] == []


def test_every_figure_has_a_description(look: dict[str, Any]) -> None:
    """Those who cannot see a figure are told what it shows."""
    assert look["unnamed"] == 0


def test_nothing_is_loaded_and_nothing_complained_of(look: dict[str, Any]) -> None:
    """The browser fetches nothing for the page, and its console stays empty."""
    assert (look["loaded"], look["console"]) == ([], [])
