"""Every error the product raises on purpose: a full sentence with the offending value and what was expected."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date
    from pathlib import Path


class ChurnMlopsError(Exception):
    """An error whose text is for the person who runs the product; command lines print it and end with 2."""

    exit_code: ClassVar[int] = 2


class SettingsError(ChurnMlopsError):
    """The configuration cannot be used: a missing file, an unknown key or a value of the wrong type."""


class DataError(ChurnMlopsError):
    """The customer table cannot be used as it stands."""


class DataFileError(DataError):
    """The file itself cannot be read as a table."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"Cannot read {path}: {problem}")


class UnclosedQuote(DataFileError):
    """A CSV file ends inside a quoted field."""

    def __init__(self, path: Path, row: int) -> None:
        super().__init__(path, f"a quote that opens in row {row:,} is never closed.")


class MissingColumn(DataError):
    """A column that the configuration names is not in the table."""

    def __init__(self, key: str, name: str, columns: Sequence[str]) -> None:
        super().__init__(f"{key} names the column {name!r}, which the table does not have.{_closest(name, columns)}")


class SuspectedLeak(DataError):
    """A column alone all but decides the target, so it was most likely written after the customer left."""

    def __init__(self, column: str, how: str, auc: float) -> None:
        super().__init__(
            f"The column {column!r}{how and f' {how}'} all but decides the target (ROC AUC {auc:.3f} on its own): "
            f"it was most likely recorded after the customer left. Add it to data.drop, or to data.allow_leaky if "
            f"it is truly known beforehand."
        )


class SampleRefused(ChurnMlopsError):
    """A sample log cannot be written as it was asked for."""


class NotWritable(ChurnMlopsError):
    """A folder that must be written to refuses; inside a container the message carries the option to add."""

    def __init__(self, folder: Path, owner: tuple[int, int], runner: tuple[int, int]) -> None:
        super().__init__(
            f"Cannot write to {folder}: it belongs to {owner[0]}:{owner[1]} and this process runs as "
            f"{runner[0]}:{runner[1]}. In a container, add --user {owner[0]}:{owner[1]} to docker run."
        )


class OutputRefused(ChurnMlopsError):
    """What a command was told to write, or where to, cannot be."""


class OutputInUse(OutputRefused):
    """Another process writes the same output."""

    def __init__(self, output: Path | str) -> None:
        super().__init__(f"Another process writes {output}; wait for its end, or name another output.")


class ParityError(ChurnMlopsError):
    """The exported graph and the fitted estimator disagree, so no version is written."""

    def __init__(self, rows: str, difference: float, limit: float) -> None:
        super().__init__(
            f"model.onnx and the estimator differ by {difference:.2e} on {rows} (allowed: {limit:.0e}); "
            f"no version was written."
        )


class MissingLibrary(ChurnMlopsError):
    """A library of the operating system that a package needs is not installed."""

    def __init__(self, package: str, problem: OSError) -> None:
        super().__init__(
            f"{package} cannot be loaded ({problem}). On Debian and Ubuntu, apt-get install libgomp1 brings what it "
            f"needs; training.model logistic and ebm do without."
        )


class NotCompilable(ChurnMlopsError):
    """The features of an event log cannot be computed without its engine."""


class MissingEngine(ChurnMlopsError):
    """The engine that the configuration names is not installed."""

    def __init__(self, name: str, command: str) -> None:
        super().__init__(f"engine.name is {name!r}, which is not installed; {command} installs it.")


class RegistryError(ChurnMlopsError):
    """The registry cannot do what was asked."""


class VersionNotFound(RegistryError):
    """No version of that name is in the registry."""

    def __init__(self, version: str, versions: Sequence[str]) -> None:
        super().__init__(f"There is no version {version!r}.{_closest(version, versions)}")


class VersionRefused(RegistryError):
    """A version folder fails a check and is not loaded."""

    def __init__(self, version: str, problem: str) -> None:
        super().__init__(f"Version {version} is refused: {problem}")


class NoEventFeatures(RegistryError):
    """A version was not trained on an event log, so nobody can tell what it would compute of one."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"Version {version} was not trained on an event log, or before versions kept what they compute of it: it "
            f"scores tables of its features. Train one with data.source: events."
        )


class KeyRefused(ChurnMlopsError):
    """A key file cannot be used, to sign versions or to check their signatures."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"The key {path} {problem}.")


class NotComparable(RegistryError):
    """A version cannot be judged on a table: it needs what the table lacks, or does not say which rows it saw."""

    def __init__(self, version: str, problem: str) -> None:
        super().__init__(f"Version {version} cannot be judged: {problem}")


class PromotionRefused(ChurnMlopsError):
    """A version failed the promotion gate, so the champion stays."""

    exit_code = 3

    def __init__(self, version: str, reasons: Iterable[str]) -> None:
        super().__init__(
            f"Version {version} is not promoted. {' '.join(reasons)} To promote it all the same, give --force and "
            f"--reason; both are recorded."
        )


class NoReport(RegistryError):
    """A version has no report."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"Version {version} was written without a report, as the bundled sample is; churn-mlops train writes one."
        )


class NoModel(ChurnMlopsError):
    """No model is loaded, so nothing can be scored."""


class ShuttingDown(ChurnMlopsError):
    """The service was told to stop: it still answers, and is no longer to be asked."""

    def __init__(self) -> None:
        super().__init__("The service is shutting down: it finishes what it was asked, and takes no more soon.")


class WorkerFailed(ChurnMlopsError):
    """No worker of the service starts."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"The service cannot start: its worker ended with exit code {exit_code}; see above why.")


class CannotListen(ChurnMlopsError):
    """The service cannot have the address that it was told to listen on."""

    def __init__(self, host: str, port: int, problem: OSError) -> None:
        reason = os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem.strerror
        super().__init__(
            f"Cannot listen on {host}:{port}: {reason}. serving.host and serving.port in the configuration, or "
            f"CHURN_MLOPS__SERVING__PORT, choose another address."
        )


class UnknownModel(ChurnMlopsError):
    """A request names a model, or a version of it, that is not served."""


class MalformedRequest(ChurnMlopsError):
    """A request's body is not what it says it is: no JSON, or cut short."""


class Overloaded(ChurnMlopsError):
    """There is more to do than the service can do in time, so this was not begun."""

    def __init__(self) -> None:
        super().__init__("The service has as many requests as it can answer; try again a little later.")


class DeadlineExceeded(ChurnMlopsError):
    """A request took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The request was not answered within {seconds:g} seconds, and given up.")


class Stopped(ChurnMlopsError):
    """The service stops, and a request took longer than it then has."""

    def __init__(self) -> None:
        super().__init__("The service is stopping; the request was given up.")


class SlowClient(ChurnMlopsError):
    """A request did not arrive whole in time."""

    def __init__(self) -> None:
        super().__init__("The request did not arrive whole in time.")


class HeadersTooLarge(ChurnMlopsError):
    """A request's line and headers are longer than is read."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request line and headers are longer than {limit_bytes} bytes.")


class Unauthorized(ChurnMlopsError):
    """A request has no API key, or one that is not known."""

    def __init__(self, given: bool) -> None:
        super().__init__(
            "The API key is not known."
            if given
            else "An API key is needed, as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'."
        )


class InvalidParameter(ChurnMlopsError):
    """A parameter of a request's address cannot be used.

    Attributes:
        fields: its name.
    """

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f"{name!r} is {value}; {expected} was expected.")
        self.fields = (name,)


class FeatureSchemaMismatch(ChurnMlopsError):
    """A customer's features do not fit the model's signature.

    Attributes:
        fields: names of the fields at fault, in the order of the sentence.
    """

    def __init__(self, detail: str, fields: Iterable[str]) -> None:
        super().__init__(detail)
        self.fields = tuple(fields)

    @classmethod
    def of_missing(cls, missing: Sequence[str], features: int, allowed_share: float) -> FeatureSchemaMismatch:
        """Say that too many of a customer's features are missing for an answer to be about this customer."""
        share = len(missing) / features
        return cls(
            f"{len(missing)} of {features} features are missing ({share:.0%}); at most {allowed_share:.0%} may be: "
            f"{', '.join(missing)}.",
            missing,
        )


class EventsRefused(ChurnMlopsError):
    """A customer's events cannot be taken as they are.

    Attributes:
        fields: names of the fields at fault, with the place of the event: events[3].amount.
    """

    def __init__(self, detail: str, fields: Iterable[str]) -> None:
        super().__init__(detail)
        self.fields = tuple(fields)

    @classmethod
    def of_absent(cls, absent: Sequence[str], attributes: int, allowed_share: float) -> EventsRefused:
        """Say that too many of a customer's attributes were not sent for an answer to be about this customer."""
        share = len(absent) / attributes
        return cls(
            f"{len(absent)} of {attributes} attributes of 'customer' are absent ({share:.0%}); at most "
            f"{allowed_share:.0%} may be: {', '.join(absent)}. One that nobody knows is sent as null.",
            (f"customer.{name}" for name in absent),
        )


class NotAtRisk(ChurnMlopsError):
    """A customer was not active lately, or has left: nobody like it was trained on, so there is nothing to say."""

    fields = ("events",)

    def __init__(self, as_of: date, active_days: int, event_types: Sequence[str], may_have_left: bool) -> None:
        kinds = f" of type {' or '.join(map(repr, event_types))}" if event_types else ""
        left = ", or cancelled and did not come back" if may_have_left else ""
        super().__init__(
            f"The customer is not at risk on {as_of}: it has no event{kinds} that was known by then in the "
            f"{active_days} days before{left}. Only customers at risk are scored."
        )


class NotTrainedOnEvents(ChurnMlopsError):
    """The version that is served cannot be asked with events."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"Version {version} was not trained on an event log, or on one whose features the service cannot compute "
            f"(its notes then say so); ask /predict with its features."
        )


class BodyTooLarge(ChurnMlopsError):
    """A request's body is larger than the service takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body has more than {limit_bytes:,} bytes, all that serving.max_body_bytes allows.")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A customer of a batch who cannot be scored.

    Attributes:
        row: place among the customers, from 0.
        fields: names of the fields at fault.
        detail: what is wrong with them; None if enough rows before it have said so.
        line: of the CSV file, from 1; None of JSON.
    """

    row: int
    fields: tuple[str, ...]
    detail: str | None = None
    line: int | None = None


class BatchRefused(ChurnMlopsError):
    """A batch cannot be scored, so none of its customers is.

    Attributes:
        fields: names of the fields at fault, over all rows.
        rows: every customer at fault; none where it is the batch as a whole.
    """

    def __init__(self, detail: str, fields: Iterable[str], rows: Sequence[BadRow] = ()) -> None:
        super().__init__(detail)
        self.fields = tuple(fields)
        self.rows = tuple(rows)


def find_closest(name: str, known: Sequence[str]) -> str | None:
    """Find the known name that a wrong one most likely means, whatever its case; None if none is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[matches[0]] if matches else None


def _closest(name: str, known: Sequence[str], shown: int = 8) -> str:
    """Say which known names are nearest to a wrong one."""
    nearest = find_closest(name, known)
    if nearest is not None:
        return f" The closest is {nearest!r}."
    if not known:
        return " There are none."
    more = f" and {len(known) - shown} more" if len(known) > shown else ""
    return f" There are: {', '.join(map(repr, known[:shown]))}{more}."
