"""Where answers go: a file, or a table of a DuckDB database or of Spark's catalogue that is made of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from churn_mlops.atomic_files import explain_unwritable
from churn_mlops.errors import OutputRefused

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config import Settings
    from churn_mlops.inference.batch_score.options import Form, Options
    from churn_mlops.inference.batch_score.output_tables import OutputTable

_FORMS: Final[dict[str, Form]] = {".parquet": "parquet", ".csv": "csv"}


@dataclass(frozen=True)
class Destination:
    """Where answers go.

    Attributes:
        file: that they are written to; where a table is made of it, it is removed afterwards.
        form: parquet or csv.
        rejects: the file of the rows that cannot be scored.
        table: that is made of the file; None where the file is wanted.
        name: for people.

    Raises:
        OutputRefused: two of the files are one.
    """

    file: Path
    form: Form
    rejects: Path
    table: OutputTable | None
    name: str

    def __post_init__(self) -> None:
        if self.rejects.is_dir():
            raise OutputRefused(f"--rejects {self.rejects} is a folder; name the file to write.")
        if len({file.resolve() for file in self.files}) < len(self.files):
            raise OutputRefused(
                f"The answers, the rows that cannot be scored and the events that cannot be used need a file each; "
                f"they would go to {self.file}, {self.rejects} and {self.rejected_events}: give another --rejects."
            )

    @property
    def rejected_events(self) -> Path:
        """The file of the rows of an event log that are no events."""
        return self.rejects.with_name(f"{self.rejects.name.partition('.')[0]}.rejected_events.csv")

    @property
    def files(self) -> tuple[Path, ...]:
        """All that are written."""
        return self.file, self.rejects, self.rejected_events

    def publish(self) -> None:
        """Make the table, where one is wanted: it has all of the answers, or is as it was."""
        if self.table is not None:
            self.table.replace(self.file)
            self.file.unlink()


def choose_destination(options: Options, settings: Settings) -> Destination:
    """Find out where the command was told to write.

    Raises:
        OutputRefused: it cannot be written to; the sentence says why.
    """
    if (options.output is None) == (options.output_table is None):
        raise OutputRefused("Say where the answers go: either --output FILE or --output-table NAME.")
    if options.output is None:
        return _choose_table(options, settings)
    output = options.output
    if output.is_dir():
        raise OutputRefused(f"{output} is a folder; name the file to write.")
    if options.overwrite:
        raise OutputRefused("--overwrite is for tables; a file is always replaced when the new one is complete.")
    if options.form is None and output.suffix not in _FORMS:
        raise OutputRefused(f"{output} ends in {output.suffix!r}; .parquet or .csv was expected, or --format.")
    form = options.form or _FORMS[output.suffix]
    rejects = options.rejects or output.with_name(f"{output.name.partition('.')[0]}.rejects.csv")
    return Destination(output, form, rejects, None, str(output))


def _choose_table(options: Options, settings: Settings) -> Destination:
    # imported here: whoever writes files should not wait for engines
    from churn_mlops.inference.batch_score.output_tables import DuckDbTable, SparkTable

    name = options.output_table or ""
    if not re.fullmatch(r"\w+(\.\w+){0,2}", name):
        raise OutputRefused(f"--output-table is {name!r}; letters, digits and _ were expected, and dots between parts.")
    if options.form is not None:
        raise OutputRefused("--format is for files; a table has none.")
    table: OutputTable
    if settings.engine.name == "pyspark":
        folder, stem = settings.engine.temp_directory or settings.artifacts.path / "scores", ""
        table = SparkTable(name, options.overwrite, settings)
        described = f"table {name} of Spark's catalogue"
    else:
        if settings.engine.database is None:
            raise OutputRefused("--output-table needs engine.database: the DuckDB file that gets the table.")
        folder, stem = settings.engine.database.parent, f".{settings.engine.database.stem}"
        table = DuckDbTable(name, options.overwrite, settings)
        described = f"table {name} of {settings.engine.database}"
    with explain_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        table.check()
    return Destination(
        folder / f"{stem}.{name}.scores.parquet",
        "parquet",
        options.rejects or folder / f"{name}.rejects.csv",
        table,
        described,
    )
