"""churn-mlops models: what there is, and which one is served."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from version_drafts import FILES, make_draft, register_some

from churn_mlops.registry.manifest import MANIFEST, Manifest
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.writing import register

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

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


def test_promote_and_rollback_move_the_champion(run: Run, tmp_path: Path) -> None:
    """Each says who is champion and previous now, and that a running service is not touched."""
    registry, (first, second) = register_some(tmp_path / "artifacts", 2)
    note = "A running service serves it from its next start on.\n"
    assert run("models", "promote", second).stdout == f"champion: {second}; previous: {first}\n{note}"
    assert run("models", "rollback").stdout == f"champion: {first}; previous: {second}\n{note}"
    assert registry.aliases() == Aliases(champion=first, previous=second)


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
