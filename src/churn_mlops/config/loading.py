"""Reads settings from the file that CHURN_MLOPS_CONFIG names, overridden by CHURN_MLOPS__… variables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from churn_mlops.config.settings import Settings
from churn_mlops.errors import SettingsError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_VARIABLE = "CHURN_MLOPS_CONFIG"
DEFAULT_CONFIG = Path("config/config.yaml")
_PREFIX = "CHURN_MLOPS__"


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration file and the environment.

    Args:
        path: the file to read; without it, the one that `CHURN_MLOPS_CONFIG` names, or `config/config.yaml`.

    Returns:
        Frozen settings; environment variables win over the file, the file over the defaults.

    Raises:
        SettingsError: the file is missing or no YAML mapping, a key is unknown or a value has the wrong type;
            the sentence names the file or variable, the key and what was expected.
    """
    file = path or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    content = _read_yaml(file)
    content = {section: keys for section, keys in content.items() if keys is not None}
    for keys, value in _read_environment():
        _put(content, keys, value, file)
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(_sentence(file, error.errors())) from error


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader without two surprises: a key that stands twice, and Yes or No read as a boolean."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


# YAML 1.2's booleans: "positive_label: Yes" means the text Yes, as it does in the table
_BOOLEAN = "tag:yaml.org,2002:bool"
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise SettingsError(
            f"There is no configuration file {file}; name one with {CONFIG_VARIABLE} or --config."
        ) from error
    except OSError as error:
        raise SettingsError(f"Cannot read the configuration file {file}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid YAML: {' '.join(str(error).split())}.") from error
    return dict(_as_mapping(content, f"{file} must hold a mapping of sections"))


def _read_environment() -> list[tuple[tuple[str, ...], object]]:
    """Collect the CHURN_MLOPS__SECTION__KEY variables as keys and values; a key may hold keys of its own."""
    found = []
    for variable, text in sorted(os.environ.items()):
        if variable.upper().startswith(_PREFIX):
            keys = tuple(variable[len(_PREFIX) :].lower().split("__"))
            found.append((keys, _value(variable, keys, text)))
    return found


def _put(content: dict[str, Any], keys: tuple[str, ...], value: object, file: Path) -> None:
    """Set the value of a key, below as many others as there are."""
    for place, key in enumerate(keys[:-1], start=1):
        sentence = f"In {file}, {'.'.join(keys[:place])} must hold a mapping of keys"
        content[key] = dict(_as_mapping(content.get(key), sentence))
        content = content[key]
    content[keys[-1]] = value


def _value(variable: str, keys: tuple[str, ...], text: str) -> object:
    annotation: object = Settings
    for key in keys:
        section = _section_of(annotation)
        if section is None or key not in section.model_fields:
            raise _unknown_variable(variable, keys)
        annotation = section.model_fields[key].annotation
    if len(keys) < 2:
        raise _unknown_variable(variable, keys)
    if text == "null":
        return None
    if get_origin(annotation) not in (tuple, dict) and _section_of(annotation) is None:
        return text
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise SettingsError(f"The environment variable {variable} is no list or map: {text!r}.") from error


def _section_of(annotation: object) -> type[BaseModel] | None:
    """Give the class of settings that a key holds, if it holds keys of its own."""
    candidates = (annotation, *get_args(annotation))
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _unknown_variable(variable: str, keys: tuple[str, ...]) -> SettingsError:
    return SettingsError(
        f"The environment variable {variable} names no key of the configuration: "
        f"there is no {'.'.join(filter(None, keys))}."
    )


def _as_mapping(content: object, sentence: str) -> dict[str, Any]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{sentence}, not {content!r}.")
    return content


def _sentence(file: Path, errors: list[ErrorDetails]) -> str:
    problems = "; ".join(dict.fromkeys(_problem(error) for error in errors))
    return f"The configuration ({file} and {_PREFIX}… variables) cannot be used: {problems}."


def _problem(error: ErrorDetails) -> str:
    location = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        return f"{'.'.join(location)} is not a known key"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if len(location) == 3 and location[1].endswith("_label"):  # the third part is one of a label's four types
        return f"{'.'.join(location[:-1])} is {error['input']!r}: it should be a text, number or boolean"
    expected = _EXPECTED.get(error["type"]) or error["msg"][0].lower() + error["msg"][1:]
    return f"{'.'.join(location)} is {error['input']!r}: {expected}"


_EXPECTED = {
    "path_type": "it should be a path",
    "tuple_type": "it should be a list",
    "model_type": "it should be a mapping of keys",
    "string_pattern_mismatch": "it should be one ASCII character, such as ',' or a tab, and no quote or line break",
}
