"""Loading: file, then environment, then a sentence for whatever does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from churn_mlops.config.loading import load_settings
from churn_mlops.config.settings import Settings
from churn_mlops.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    WriteConfig = Callable[[str], Path]


@pytest.fixture
def write_config(tmp_path: Path) -> WriteConfig:
    """Give a function that writes a configuration file and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "churn.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n", "data:\ntraining:\n", "data: null\n", "data: {}\n"])
def test_a_file_that_says_nothing_means_the_defaults(write_config: WriteConfig, text: str) -> None:
    """An empty file, and a section that holds no key, leave every default as it is."""
    assert load_settings(write_config(text)) == Settings()


def test_the_file_that_the_variable_names_is_read(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """CHURN_MLOPS_CONFIG names the file where no path is given."""
    monkeypatch.setenv("CHURN_MLOPS_CONFIG", str(write_config("training: {folds: 7}")))
    assert load_settings().training.folds == 7


def test_a_given_path_wins_over_the_variable(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller names (--config) is read whatever the environment says."""
    monkeypatch.setenv("CHURN_MLOPS_CONFIG", "elsewhere.yaml")
    assert load_settings(write_config("training: {folds: 7}")).training.folds == 7


def test_without_a_name_the_file_beside_the_work_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is config/config.yaml in the working directory."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("serving: {port: 9001}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_settings().serving.port == 9001


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("DATA__PATH", "data/customers.csv", "data", "path", Path("data/customers.csv")),
        ("DATA__TARGET", "Churn", "data", "target", "Churn"),
        ("DATA__POSITIVE_LABEL", "Yes", "data", "positive_label", "Yes"),
        ("DATA__POSITIVE_LABEL", "1", "data", "positive_label", "1"),
        ("DATA__DROP", "[tenure, No]", "data", "drop", ("tenure", "No")),
        ("DATA__DROP", "[]", "data", "drop", ()),
        ("DATA__KINDS", "{postcode: categorical}", "data", "kinds", {"postcode": "categorical"}),
        ("DATA__MISSING_VALUES", '["", "-"]', "data", "missing_values", ("", "-")),
        ("DATA__DELIMITER", "\t", "data", "delimiter", "\t"),
        ("DATA__CUSTOMER_ID", "null", "data", "customer_id", None),
        ("TRAINING__SEED", "0", "training", "seed", 0),
        ("TRAINING__FOLDS", "3", "training", "folds", 3),
        ("DATA__TIME", "snapshot", "data", "time", "snapshot"),
        ("EVALUATION__SEGMENTS", "[region]", "evaluation", "segments", ("region",)),
        ("EVALUATION__LEAK_REPORT", "false", "evaluation", "leak_report", False),
        ("DECISION__THRESHOLD", "0.25", "decision", "threshold", 0.25),
        ("DECISION__CAPACITY", "500", "decision", "capacity", 500.0),
        ("DECISION__CAPACITY", "0.1", "decision", "capacity", 0.1),
        ("DECISION__CAPACITY", "null", "decision", "capacity", None),
        ("DECISION__CUSTOMER_VALUE", "100", "decision", "customer_value", 100.0),
        ("DECISION__CUSTOMER_VALUE", "99.5", "decision", "customer_value", 99.5),
        ("DECISION__CUSTOMER_VALUE", "monthly_charges", "decision", "customer_value", "monthly_charges"),
        ("DECISION__OFFER_COST", "0", "decision", "offer_cost", 0.0),
        ("DECISION__SAVE_RATE", "1", "decision", "save_rate", 1.0),
        ("ARTIFACTS__PATH", "/srv/churn", "artifacts", "path", Path("/srv/churn")),
        ("SERVING__HOST", "0.0.0.0", "serving", "host", "0.0.0.0"),  # noqa: S104 - a value, not a socket
        ("serving__port", "9000", "serving", "port", 9000),
    ],
)
def test_a_variable_overrides_its_key(
    write_config: WriteConfig,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
    section: str,
    key: str,
    value: object,
) -> None:
    """Every kind of key (text, path, number, list, map, nothing) can be set from the environment."""
    file = "data: {customer_id: id, drop: [a], kinds: {a: numeric}}\ntraining: {seed: 5}\n"
    monkeypatch.setenv(f"CHURN_MLOPS__{variable}", text)
    assert getattr(getattr(load_settings(write_config(file)), section), key) == value


def test_a_variable_leaves_the_other_keys_of_its_section(
    write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override replaces one key, not the section."""
    monkeypatch.setenv("CHURN_MLOPS__TRAINING__FOLDS", "3")
    training = load_settings(write_config("training: {folds: 9, seed: 5}")).training
    assert (training.folds, training.seed) == (3, 5)


def test_variables_complete_what_the_file_lacks(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table can be named by the environment alone, over a file whose section is empty."""
    for key, text in (("SOURCE", "table"), ("PATH", "c.csv"), ("TARGET", "left"), ("POSITIVE_LABEL", "true")):
        monkeypatch.setenv(f"CHURN_MLOPS__DATA__{key}", text)
    data = load_settings(write_config("data:\n")).data
    assert (data.source, data.path, data.target, data.positive_label) == ("table", Path("c.csv"), "left", "true")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes", "Yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("1", 1),
        ("1.0", 1.0),
        ("'1'", "1"),
        ("left", "left"),
    ],
)
def test_a_label_is_read_as_it_stands_in_the_table(write_config: WriteConfig, text: str, label: object) -> None:
    """`positive_label: Yes` is the text Yes, not a boolean; numbers and true stay what they are."""
    read = load_settings(write_config(f"data: {{positive_label: {text}}}")).data.positive_label
    assert (type(read), read) == (type(label), label)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("dat: {}", ["dat", "not a known key"]),
        ("data: {pth: x}", ["data.pth", "not a known key"]),
        ("serving: {workers: 2}\ntraining: {fold: 2}", ["serving.workers", "training.fold", "not a known key"]),
        ("1: {}", ["1", "keys should be strings"]),
        ("data: 5", ["data is 5", "mapping"]),
        ("data: [path]", ["data is ['path']", "mapping"]),
        ("data: {drop: tenure}", ["data.drop is 'tenure'", "list"]),
        ("data: {drop: [2019]}", ["data.drop.0 is 2019", "string"]),
        ("data: {kinds: [a]}", ["data.kinds is ['a']", "dictionary"]),
        ("data: {kinds: {str: number}}", ["data.kinds.str is 'number'", "'numeric', 'categorical' or 'boolean'"]),
        ("data: {positive_label: [Yes]}", ["data.positive_label is ['Yes']", "text, number or boolean"]),
        ("data: {target: 5}", ["data.target is 5", "string"]),
        ("data: {path: 5}", ["data.path is 5", "path"]),
        ("data: {source: file}", ["data.source is 'file'", "'sample', 'table' or 'events'"]),
        ("data: {source: table, path: a.csv}", ["data.target and data.positive_label"]),
        ("data: {delimiter: ';;'}", ["data.delimiter is ';;'", "one ASCII character"]),
        ("data: {delimiter: é}", ["data.delimiter is 'é'", "one ASCII character"]),
        ("data: {delimiter: '\"'}", ["data.delimiter is '\"'", "no quote"]),
        ('data: {delimiter: "\\n"}', ["data.delimiter is '\\n'", "no quote or line break"]),
        ("data: {events: {earliest: 1822-12-31}}", ["data.events.earliest is", "greater than or equal to 1823-01-01"]),
        ("churn: {event_types: [other]}", ["churn.event_types is ['other']", "should not name 'other'"]),
        ("data: {rare_category_rows: 0}", ["data.rare_category_rows is 0", "greater than or equal to 1"]),
        ("training: {folds: five}", ["training.folds is 'five'", "integer"]),
        ("training: {folds: 2.5}", ["training.folds is 2.5", "integer"]),
        ("training: {folds: 1}", ["training.folds is 1", "greater than or equal to 2"]),
        ("training: {seed: -1}", ["training.seed is -1", "greater than or equal to 0"]),
        ("training: {folds: null}", ["training.folds is None", "integer"]),
        ("evaluation: {segments: region}", ["evaluation.segments is 'region'", "it should be a list"]),
        ("evaluation: {leak_report: perhaps}", ["evaluation.leak_report is 'perhaps'", "boolean"]),
        ("serving: {reasons: true}", ["serving.reasons is True", "no boolean"]),
        ("serving: {host: 127}", ["serving.host is 127", "string"]),
        ("serving: {port: 70000}", ["serving.port is 70000", "65535"]),
        ("decision: {threshold: true}", ["decision.threshold is True", "no boolean"]),
        ("decision: {threshold: .nan}", ["decision.threshold is nan", "less than or equal to 1"]),
        ("decision: {mode: gain}", ["decision.mode is 'gain'", "'threshold', 'capacity' or 'profit'"]),
        ("decision: {mode: capacity}", ["decision.mode is 'capacity', which also needs decision.capacity"]),
        ("decision: {mode: profit}", ["decision.customer_value and decision.offer_cost and decision.save_rate"]),
        (
            "decision: {mode: profit, customer_value: 9, offer_cost: 1}",
            ["decision.mode is 'profit', which also needs decision.save_rate"],
        ),
        ("decision: {capacity: 0}", ["decision.capacity is 0", "a share between 0 and 1, or a whole number"]),
        ("decision: {capacity: 1.5}", ["decision.capacity is 1.5", "a share between 0 and 1, or a whole number"]),
        ("decision: {capacity: -3}", ["decision.capacity is -3", "a share between 0 and 1, or a whole number"]),
        ("decision: {capacity: .nan}", ["decision.capacity is nan", "a share between 0 and 1, or a whole number"]),
        ("decision: {capacity: .inf}", ["decision.capacity is inf", "a share between 0 and 1, or a whole number"]),
        ("decision: {capacity: true}", ["decision.capacity is True", "no boolean"]),
        ("decision: {capacity: many}", ["decision.capacity is 'many'", "number"]),
        ("decision: {customer_value: 0}", ["decision.customer_value is 0", "above 0, or the name of a column"]),
        ("decision: {customer_value: '-5'}", ["decision.customer_value is '-5'", "above 0, or the name of a column"]),
        ("decision: {customer_value: .nan}", ["decision.customer_value is nan", "above 0, or the name of a column"]),
        ("decision: {customer_value: .inf}", ["decision.customer_value is inf", "above 0, or the name of a column"]),
        ("decision: {customer_value: ''}", ["decision.customer_value is ''", "above 0, or the name of a column"]),
        ("decision: {customer_value: [a]}", ["decision.customer_value is ['a']", "above 0, or the name of a column"]),
        ("decision: {customer_value: true}", ["decision.customer_value is True", "no boolean"]),
        ("decision: {offer_cost: -1}", ["decision.offer_cost is -1", "greater than or equal to 0"]),
        ("decision: {offer_cost: .inf}", ["decision.offer_cost is inf", "finite number"]),
        ("decision: {save_rate: 0}", ["decision.save_rate is 0", "greater than 0"]),
        ("decision: {save_rate: 30}", ["decision.save_rate is 30", "less than or equal to 1"]),
        ("decision: {medium_risk: 0.9}", ["decision.medium_risk (0.9)", "decision.high_risk (0.6)"]),
    ],
)
def test_a_wrong_key_or_value_is_named(write_config: WriteConfig, text: str, parts: list[str]) -> None:
    """An unknown key or a wrong type gives one line with the key, the value and what was expected."""
    path = write_config(text)
    sentence = refusal(path)
    assert [part for part in [str(path), *parts] if part not in sentence] == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("data: {source: sample, source: table}", "the key 'source' stands twice"),
        ("data: {}\ndata: {}\n", "the key 'data' stands twice"),
        ("data: {drop: [}", "not valid YAML"),
        ("data:\n\tpath: x\n", "not valid YAML"),
        ("data: {}\n---\ndata: {}\n", "not valid YAML"),
        ("data: !!python/name:os.system\n", "not valid YAML"),
        ("- data\n", "must hold a mapping of sections, not ['data']"),
        ("data\n", "must hold a mapping of sections, not 'data'"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(write_config: WriteConfig, text: str, part: str) -> None:
    """What is not YAML, holds a key twice or is no mapping gives one line with the file and the reason."""
    path = write_config(text)
    sentence = refusal(path)
    assert (str(path) in sentence, part in sentence) == (True, True)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A configuration that is not there is an error, never the defaults."""
    assert f"There is no configuration file {tmp_path / 'none.yaml'}" in refusal(tmp_path / "none.yaml")


def test_a_missing_default_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the default file may be absent: a command run in the wrong folder says so."""
    monkeypatch.chdir(tmp_path)
    assert "config/config.yaml; name one with CHURN_MLOPS_CONFIG or --config" in refusal(None)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    """A folder in place of the file is refused with its name."""
    assert f"Cannot read the configuration file {tmp_path}: Is a directory." == refusal(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """A file in another encoding is refused with its name."""
    path = tmp_path / "utf16.yaml"
    path.write_bytes("data: {}".encode("utf-16"))
    assert f"{path} is not valid YAML" in refusal(path)


@pytest.mark.parametrize(
    ("variable", "text", "part"),
    [
        (
            "CHURN_MLOPS__DATA__PTH",
            "x",
            "CHURN_MLOPS__DATA__PTH names no key of the configuration: there is no data.pth",
        ),
        (
            "CHURN_MLOPS__DAT__PATH",
            "x",
            "CHURN_MLOPS__DAT__PATH names no key of the configuration: there is no dat.path",
        ),
        ("CHURN_MLOPS__DATA", "x", "CHURN_MLOPS__DATA names no key of the configuration: there is no data"),
        ("CHURN_MLOPS__DATA__KINDS__AGE", "numeric", "there is no data.kinds.age"),
        ("CHURN_MLOPS__DATA__KINDS", "{a: [}", "CHURN_MLOPS__DATA__KINDS is no list or map: '{a: [}'"),
        ("CHURN_MLOPS__DATA__DROP", "a,b", "data.drop is 'a,b': it should be a list"),
        ("CHURN_MLOPS__TRAINING__FOLDS", "many", "training.folds is 'many': input should be a valid integer"),
        ("CHURN_MLOPS__TRAINING__FOLDS", "null", "training.folds is None"),
    ],
)
def test_a_wrong_variable_is_named(
    write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, part: str
) -> None:
    """A variable with no key, or whose text does not fit its key, gives one line that names it."""
    monkeypatch.setenv(variable, text)
    assert part in refusal(write_config(""))


def test_a_variable_over_a_section_of_the_wrong_type_names_the_section(
    write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override does not hide that the section it belongs to is no mapping."""
    monkeypatch.setenv("CHURN_MLOPS__DATA__PATH", "c.csv")
    assert "data must hold a mapping of keys, not 5" in refusal(write_config("data: 5"))


def test_variables_of_others_are_left_alone(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an orchestrator sets beside a service of this name (CHURN_MLOPS_PORT=tcp://…) is no override."""
    monkeypatch.setenv("CHURN_MLOPS_PORT", "tcp://10.0.0.7:8000")
    assert load_settings(write_config("")) == Settings()


def refusal(path: Path | None) -> str:
    """Load what must be refused, and give the sentence, which is one line."""
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    sentence = str(caught.value)
    assert len(sentence.splitlines()) == 1
    return sentence


@pytest.mark.parametrize("chosen", [True, False])
def test_a_switch_is_a_boolean(write_config: WriteConfig, chosen: bool) -> None:
    """True and false are refused for numbers, but not where they are the answer."""
    file = f"evaluation: {{learning_curve: {str(chosen).lower()}}}"
    assert load_settings(write_config(file)).evaluation.learning_curve is chosen


@pytest.mark.parametrize(
    ("text", "paths"),
    [("keys/a.pem", ["keys/a.pem"]), ("[keys/a.pem, b.pem]", ["keys/a.pem", "b.pem"]), ("[]", [])],
)
def test_one_key_needs_no_brackets(
    text: str, paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """serving.require_signature takes the file of a public key, or several, from the file and the environment alike."""
    file = tmp_path / "config.yaml"
    file.write_text(f"serving: {{require_signature: {text}}}")
    assert load_settings(file).serving.require_signature == tuple(map(Path, paths))
    file.write_text("")
    monkeypatch.setenv("CHURN_MLOPS__SERVING__REQUIRE_SIGNATURE", text)
    assert load_settings(file).serving.require_signature == tuple(map(Path, paths))
