"""The settings classes: what they default to, and that nothing changes them afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from churn_mlops.config.loading import load_settings
from churn_mlops.config.settings import DecisionSettings, Settings

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "config.yaml"
SECTIONS = {name: type(section) for name, section in Settings()}
KEYS = [(section, key) for section, model in SECTIONS.items() for key in model.model_fields]


def shipped() -> dict[str, Any]:
    """Read the shipped file with plain YAML, by no code of the product."""
    return dict(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_the_shipped_file_holds_every_key_with_its_default(section: str, key: str) -> None:
    """Leaving a key out of the file changes nothing: what it says is what the code defaults to."""
    default = getattr(getattr(Settings(), section), key)
    assert shipped()[section][key] == plain(default)


def test_the_shipped_file_holds_no_other_key() -> None:
    """Every key of the file is one that the product reads."""
    assert [(section, key) for section, keys in shipped().items() for key in keys] == KEYS


def test_the_shipped_file_loads_as_the_defaults() -> None:
    """An operator who edits nothing gets the defaults."""
    assert load_settings(SHIPPED) == Settings()


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_of_the_shipped_file_is_explained(section: str, key: str) -> None:
    """The line above every key is a comment."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    start = lines.index(f"{section}:")
    place = next(n for n in range(start + 1, len(lines)) if lines[n].startswith(f"  {key}:"))
    assert lines[place - 1].startswith("  # ")


@pytest.mark.parametrize("section", SECTIONS)
def test_no_key_can_be_changed_afterwards(section: str) -> None:
    """Settings are frozen, so every part of a run sees the same ones."""
    keys: BaseModel = getattr(Settings(), section)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(keys, next(iter(type(keys).model_fields)), None)


def test_no_section_can_be_replaced_afterwards() -> None:
    """The settings themselves are frozen too."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings(), "data", None)  # noqa: B010 - a plain assignment is refused by mypy already


@pytest.mark.parametrize(
    ("mode", "value", "column"),
    [
        ("profit", "charges", "charges"),
        ("profit", 100, None),
        ("threshold", "charges", None),
        ("threshold", None, None),
    ],
)
def test_a_value_column_is_read_only_where_it_decides(mode: str, value: object, column: str | None) -> None:
    """A column that the mode has no use for need not be in the table."""
    keys = {"mode": mode, "customer_value": value, "offer_cost": 1, "save_rate": 0.5}
    assert DecisionSettings.model_validate(keys).value_column == column


def plain(value: object) -> object:
    """Say a default the way YAML does."""
    if isinstance(value, BaseModel):
        return {key: plain(held) for key, held in value}
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
