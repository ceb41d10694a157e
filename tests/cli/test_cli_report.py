"""churn-mlops report: the path of the report that was written, or why there is none."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from version_drafts import FILES, make_draft, register_some

from churn_mlops.registry.manifest import REPORT
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import promote, register

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

WITH_REPORT = {**FILES, REPORT: b"<!DOCTYPE html>"}


def _register(root: Path, count: int) -> tuple[Registry, list[str]]:
    registry = Registry(root)
    return registry, [register(registry, make_draft(number), WITH_REPORT).version for number in range(count)]


@pytest.mark.parametrize(("asked", "place"), [((), 1), (("champion",), 1), (("previous",), 0), (("challenger",), 2)])
def test_an_alias_names_the_report(asked: tuple[str, ...], place: int, run: Run, tmp_path: Path) -> None:
    """The champion's is shown unless another is asked for; the path can be opened as it stands."""
    registry, versions = _register(tmp_path / "artifacts", 2)
    promote(registry, versions[1])
    versions.append(register(registry, make_draft(2), WITH_REPORT).version)
    assert run("report", *asked).stdout == f"{registry.models.resolve() / versions[place] / REPORT}\n"


def test_a_version_is_named_in_full(run: Run, tmp_path: Path) -> None:
    """Any version has its report, not those with an alias only."""
    registry, versions = _register(tmp_path / "artifacts", 3)
    done = run("report", versions[1])
    assert (done.returncode, done.stdout) == (0, f"{registry.models.resolve() / versions[1] / REPORT}\n")


def _refuse(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    return done.stderr


def test_a_version_without_a_report_says_so(run: Run, tmp_path: Path) -> None:
    """As the bundled sample is kept without one, its sentence says how to get one."""
    _, (version,) = register_some(tmp_path / "artifacts", 1)
    assert _refuse(run("report")) == (
        f"error: Version {version} was written without a report, as the bundled sample is; "
        f"churn-mlops train writes one.\n"
    )


@pytest.mark.parametrize("spoil", ["change", "remove"])
def test_a_report_that_is_not_the_one_written_is_refused(spoil: str, run: Run, tmp_path: Path) -> None:
    """Nobody promotes a version after reading what somebody else wrote about it."""
    registry, (version,) = _register(tmp_path / "artifacts", 1)
    report = registry.models / version / REPORT
    report.write_text("better") if spoil == "change" else report.unlink()
    assert REPORT in _refuse(run("report", "--open"))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [("previous", "No version is previous."), ("nothing", "There is no version 'nothing'.")],
)
def test_what_is_not_there_is_refused(asked: str, problem: str, run: Run, tmp_path: Path) -> None:
    """An alias without a version and a version that does not exist are one line each."""
    _register(tmp_path / "artifacts", 1)
    assert problem in _refuse(run("report", asked))


def test_open_starts_the_browser(run: Run, tmp_path: Path) -> None:
    """The browser that the environment names is given the address of the file."""
    registry, (version,) = _register(tmp_path / "artifacts", 1)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    done = run("report", "--open", environment={"BROWSER": f"{browser} %s"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text() == (registry.models.resolve() / version / REPORT).as_uri()
