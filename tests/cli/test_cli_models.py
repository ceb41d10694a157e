"""churn-mlops models: what there is, and which one is served."""

from __future__ import annotations

import functools
import json
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from learnable_tables import draw_customers, write_settings
from version_drafts import FILES, make_draft, register_some

from churn_mlops.registry.manifest import MANIFEST, Manifest
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register
from churn_mlops.training.job import train_baseline

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.config.settings import Settings

    Run = Callable[..., subprocess.CompletedProcess[str]]


ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def _rows(stdout: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in stdout.splitlines()]


def test_an_empty_registry_says_how_to_begin(run: Run) -> None:
    """There is nothing to list, and that is no error."""
    done = run("models", "list")
    assert (done.returncode, done.stdout) == (0, "There are no versions yet; train one with: churn-mlops train\n")


def test_list_shows_the_newest_first_with_its_part(run: Run, tmp_path: Path) -> None:
    """Each version has one line: part, model, figures and data."""
    _, (first, second) = register_some(tmp_path / "artifacts", 2)
    assert _rows(run("models", "list").stdout) == [
        ["version", "part", "model", "ROC AUC", "log loss", "data"],
        [second, "challenger", "logistic", "0.800", "0.400", "Kundenübersicht 1.csv"],
        [first, "champion", "logistic", "0.800", "0.400", "Kundenübersicht 0.csv"],
    ]


def test_list_names_the_bundled_sample(run: Run, tmp_path: Path) -> None:
    """A fresh clone serves its sample, and the list says so."""
    registry = Registry(tmp_path / "artifacts")
    register(registry, make_draft(sample=True), FILES)
    registry.aliases_file.unlink()
    assert _rows(run("models", "list").stdout)[1][1] == "bundled sample"


def test_list_shows_a_refused_version_and_why(run: Run, tmp_path: Path) -> None:
    """One spoilt version does not hide the others, and its sentence follows the list."""
    registry, (first, second) = register_some(tmp_path / "artifacts", 2)
    (registry.models / second / MANIFEST).write_text("{}")
    done = run("models", "list")
    rows = _rows(done.stdout)
    assert [row[:3] for row in rows[1:3]] == [[second, "challenger", "refused"], [first, "champion", "logistic"]]
    assert rows[3][0].startswith(f"Version {second} is refused: ")
    assert done.returncode == 0


@pytest.mark.parametrize("width", [80, 120])
def test_list_fits_a_terminal(width: int, run: Run, tmp_path: Path) -> None:
    """On a terminal each version is one line, no wider than it, with the whole name to copy."""
    _, versions = register_some(tmp_path / "artifacts", 2)
    forced = {"FORCE_COLOR": "1", "COLUMNS": str(width)}
    shown = [ESCAPES.sub("", line) for line in run("models", "list", environment=forced).stdout.splitlines()]
    assert [line.split()[0] for line in shown[1:]] == versions[::-1]
    assert max(map(len, shown)) <= width
    assert "|" not in shown[0]


def test_show_prints_the_manifest(run: Run, tmp_path: Path) -> None:
    """What is shown is JSON, and the whole manifest."""
    registry, (version,) = register_some(tmp_path / "artifacts", 1)
    shown = run("models", "show", version).stdout
    assert Manifest.model_validate(json.loads(shown)) == registry.read(version)


@pytest.fixture(scope="module")
def two_trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str, str]:
    """A champion, and a challenger that was trained on shuffled outcomes."""
    folder = tmp_path_factory.mktemp("two-trained")
    customers = draw_customers(600)
    champion = train_baseline(write_settings(folder, customers)).manifest.version
    shuffled = customers.assign(churned=np.random.default_rng(0).permutation(customers["churned"]))
    challenger = train_baseline(write_settings(folder, shuffled)).manifest.version
    return write_settings(folder, customers), champion, challenger


@pytest.fixture
def promoting(two_trained: tuple[Settings, str, str], run: Run, tmp_path: Path) -> Run:
    """The command over a copy of the two versions and the table of the champion."""
    settings, _, _ = two_trained
    shutil.copytree(settings.artifacts.path, tmp_path / "artifacts")
    named = {"DATA__SOURCE": "table", "DATA__PATH": str(settings.data.path), "DATA__TARGET": "churned"}
    named |= {"DATA__POSITIVE_LABEL": "true", "TRAINING__FOLDS": "3", "TRAINING__BOOTSTRAP_RESAMPLES": "100"}
    return functools.partial(run, **named)


NOTE = "A running service serves it within serving.reload_seconds.\n"
CHECKS = ["unseen rows", "at least as good", "calibrated", "beats the best rule", "no leak"]
CHECKS += ["served as evaluated", "fast enough"]


def test_a_version_that_fails_is_refused_with_figures(
    promoting: Run, two_trained: tuple[Settings, str, str], tmp_path: Path
) -> None:
    """All checks are shown; what stands against it is one line on stderr, the exit code is 3, and nothing changes."""
    _, champion, challenger = two_trained
    done = promoting("models", "promote", challenger)
    rows = _rows(done.stdout)
    assert [row[0] for row in rows] == ["check", *CHECKS]
    assert {row[0] for row in rows if row[1] == "failed"} >= {"at least as good", "beats the best rule"}
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert done.stderr.startswith(f"error: Version {challenger} is not promoted. Its log loss is ")
    assert all(row[2] in done.stderr for row in rows if row[1] == "failed")
    assert Registry(tmp_path / "artifacts").champion() == champion


def test_forcing_is_recorded_and_rollback_goes_back(promoting: Run, two_trained: tuple[Settings, str, str]) -> None:
    """Each says who is champion and previous now; the history says what was done, newest first, and why."""
    _, champion, challenger = two_trained
    forced = promoting("models", "promote", "challenger", "--force", "--reason", "Legal asked for it.")
    assert forced.stdout.endswith(f"champion: {challenger}; previous: {champion}\n{NOTE}")
    back = promoting("models", "rollback", DATA__PATH="no-such-table.csv")  # it reads none
    assert back.stdout == f"champion: {champion}; previous: {challenger}\n{NOTE}"
    header, rollback, promotion = _rows(promoting("models", "history").stdout)
    assert header == ["time (UTC)", "what", "from", "to", "on what grounds"]
    assert rollback[1:] == ["rollback", challenger, champion, ""]
    assert promotion[1:4] == ["forced promote", champion, challenger]
    assert promotion[4].startswith("Reason given: Legal asked for it. ")
    assert "Failed: Its log loss is" in promotion[4]


def test_a_version_that_passes_is_promoted(promoting: Run, two_trained: tuple[Settings, str, str]) -> None:
    """Where the challenger was forced, the better champion before comes back by its own figures."""
    _, champion, challenger = two_trained
    promoting("models", "promote", challenger, "--force", "--reason", "A mistake.")
    done = promoting("models", "promote", champion)
    assert (done.returncode, {row[1] for row in _rows(done.stdout)[1:8]}) == (0, {"passed"})
    assert done.stdout.endswith(f"champion: {champion}; previous: {challenger}\n{NOTE}")


def test_checks_and_history_are_tables_on_a_terminal(promoting: Run, two_trained: tuple[Settings, str, str]) -> None:
    """No wider than it, and without the bars of the plain lines."""
    _, _, challenger = two_trained
    forced = {"FORCE_COLOR": "1", "COLUMNS": "100"}
    checks = promoting("models", "promote", challenger, "--force", "--reason", "Why not.", environment=forced)
    history = promoting("models", "history", environment=forced)
    for done in (checks, history):
        lines = [ESCAPES.sub("", line) for line in done.stdout.splitlines()]
        assert max(map(len, lines)) <= 100
        assert not any("|" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--force",), "--force also needs --reason"),
        (("--force", "--reason", " "), "--force also needs --reason"),
        (("--reason", "Because."), "--reason is for --force"),
    ],
)
def test_force_and_reason_go_together(arguments: tuple[str, ...], problem: str, run: Run) -> None:
    """One without the other is one line and exit code 2, before anything is read."""
    done = run("models", "promote", "challenger", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert problem in done.stderr


def test_an_empty_history_says_so(run: Run) -> None:
    """There is nothing to list, and that is no error."""
    done = run("models", "history")
    assert (done.returncode, done.stdout) == (0, "Nothing was promoted yet.\n")


def test_promoting_a_spoilt_version_is_refused(run: Run, tmp_path: Path) -> None:
    """One line on stderr, exit code 2, and the champion stays."""
    registry, (first, second) = register_some(tmp_path / "artifacts", 2)
    (registry.models / second / "model.onnx").write_bytes(b"other")
    done = run("models", "promote", second)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re.match(f"error: Version {second} is refused: the sha256 of model.onnx", done.stderr)
    assert registry.champion() == first


def test_spoilt_aliases_are_one_line(run: Run, tmp_path: Path) -> None:
    """A list that cannot say who is champion says that instead."""
    registry, _ = register_some(tmp_path / "artifacts", 1)
    registry.aliases_file.write_text("{")
    done = run("models", "list")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: registry/aliases.json cannot be used")
