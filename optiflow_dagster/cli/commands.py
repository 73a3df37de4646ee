"""The commands themselves. Each reads its arguments and leaves the work to a module beside this one.

Heavy modules are imported by the command that needs them, so that `--help` and `status` answer at once.
"""

import errno
import json
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from optiflow import __version__
from optiflow.errors import JobFailedError, OptiflowError, UserError
from optiflow_dagster.cli.database import db
from optiflow_dagster.cli.datasets import compare, delete, export, rename
from optiflow_dagster.cli.endpoint import endpoint

if TYPE_CHECKING:
    from optiflow_dagster.cli.progress import StepFailure

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
UNUSABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""What the system says of a disk or a file that the person has to see to: full, not theirs, read only."""
PIPELINE = "orders"


class Commands(click.Group):
    """Turns the errors that OptiFlow raises on purpose into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            _fail(str(error), WRONG_INPUT)
        except OptiflowError as error:
            _fail(str(error), FAILED)
        except click.Abort:
            _fail("Nothing was changed.", FAILED)  # the question was answered with no, or not at all
        except KeyboardInterrupt:
            _fail(
                "Interrupted. A training job that has begun goes on; run the same command again to take it up.",
                INTERRUPTED,
            )
        except OSError as error:
            if error.errno not in UNUSABLE:
                raise
            where = f"{error.filename}: " if error.filename else ""
            _fail(f"{where}{error.strerror}. Mend that, then run again. Your uploads are untouched.", FAILED)
        except _dagster_storage_errors() as error:
            reason = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
            _fail(
                f"The database cannot be used: Dagster's storage: {reason}. If the disk is full, free some space; "
                "then run again. Your uploads are untouched.",
                FAILED,
            )


def _dagster_storage_errors() -> tuple[type[Exception], ...]:
    # The catalog tells its own. Asked for only when an error passes by, so that commands that need no database do not
    # load SQLAlchemy.
    from sqlalchemy.exc import OperationalError

    postgres = sys.modules.get("dagster_postgres.utils")
    return (OperationalError, postgres.DagsterPostgresException) if postgres else (OperationalError,)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Predictive inventory management on Dagster: from an uploaded file to predictions and an honest error report.

    Exit codes: 0 done, 1 failed, 2 the input is wrong.
    """
    warnings.simplefilter("ignore")  # Dagster's and libraries' hints to developers; the tests turn them into errors


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pipeline", "-p", required=True, help="The pipeline that the file is for, such as orders.")
@click.option("--target", help="The numeric column to predict.")
@click.option("--date-column", help="The column with the order date.")
@click.option("--series", help="FRED series to join, by id: CPIAUCSL,UNRATE.")
@click.option(
    "--option",
    "-o",
    "assignments",
    multiple=True,
    help="Any other option as key=value, such as split.strategy=random. Repeatable.",
)
@click.option("--into", help="Add FILE to the folder of this dataset, such as one file a day.")
def upload(
    file: Path,
    pipeline: str,
    into: str | None,
    target: str | None,
    date_column: str | None,
    series: str | None,
    assignments: tuple[str, ...],
) -> None:
    """Check FILE, or a folder of files, then put it and its options into the landing folder."""
    from optiflow_dagster.cli.landing import land, parse_assignments
    from optiflow_dagster.cli.landing_folder import land_folder, land_into
    from optiflow_dagster.cli.workplace import open_workplace, pipeline_named

    source, spec = file.absolute(), pipeline_named(pipeline)
    flags = parse_assignments(assignments)
    flags |= {k: v for k, v in (("target", target), ("date_column", date_column)) if v is not None}
    if series is not None:
        flags["fred_series"] = [part.strip() for part in series.split(",") if part.strip()]
    if into is not None:
        dataset, table = land_into(open_workplace(), spec, source, into, flags)
    else:
        dataset, table = (land_folder if source.is_dir() else land)(open_workplace(), spec, source, flags)
    said = [f"{table.rows_in:,} rows", f"{table.rejected['row'].n_unique() - table.left_out:,} rejected"]
    said += [f"{table.left_out:,} left out"] if table.left_out else []
    said += [f"{table.merged:,} merged"] if table.merged else []
    said += [f"target {table.target}"] if table.target else []
    click.echo(f"{file.name}: {', '.join(said)}, dates in {table.date_column}.")
    for note in table.notes:
        click.echo(f"Note: {note}")
    click.echo(
        f"Uploaded as dataset {dataset}. If Dagster is running (make dev) it has begun; else: optiflow run {pipeline} {dataset}"
    )


@main.command()
@click.argument("pipeline")
@click.argument("dataset")
def run(pipeline: str, dataset: str) -> None:
    """Run the whole chain for DATASET in this process, from its uploaded file to the report."""
    _run(pipeline, dataset)


@main.command()
@click.option("--all", "every", is_flag=True, help="All lines of long tables.")
@click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")
def status(every: bool, as_json: bool) -> None:
    """Show datasets, one a line; what runs, what failed and why; jobs, models and where the reports lie."""
    from optiflow_dagster.cli import show
    from optiflow_dagster.cli.status import print_status
    from optiflow_dagster.cli.status import status as everything
    from optiflow_dagster.cli.workplace import open_workplace

    if as_json:
        click.echo(json.dumps(everything(open_workplace()), indent=2))
    else:
        print_status(show.console(), open_workplace(), every=every)


@main.command()
@click.argument("pipeline")
@click.argument("dataset")
@click.option("--revision", help="The report of this revision, or of the one that begins so; see optiflow status.")
@click.option("--json", "as_json", is_flag=True, help="The whole report, for programs.")
def report(pipeline: str, dataset: str, revision: str | None, as_json: bool) -> None:
    """Show the newest report of DATASET under its own options, or that of any revision.

    What options for one run alone led to has a revision of its own. If a newer report is being made, or its run failed,
    that is said first, on standard error.
    """
    from optiflow_dagster.cli import show
    from optiflow_dagster.cli.under_way import under_way
    from optiflow_dagster.cli.workplace import open_workplace, pipeline_named

    workplace, spec = open_workplace(), pipeline_named(pipeline)
    now = under_way(workplace, spec, dataset) if revision is None else None
    try:
        record, found = workplace.installation.find_report(spec, dataset, revision)
    except UserError as error:
        raise now.instead_of_a_report(error) if now else error from None
    if now:
        click.echo(now.beside_a_report(), err=True)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        show.print_report(show.console(), workplace, spec, record)


@main.command()
@click.argument("name")
@click.option("--from-start", is_flag=True, help="All rows, as if it had never been pulled.")
def pull(name: str, from_start: bool) -> None:
    """Put what is new in the source NAME of sources.yaml into the landing folder."""
    from optiflow_dagster.cli.workplace import open_workplace

    sources = open_workplace().adapters.sources
    found = sources.pull(name, from_start=from_start)
    for note in found.notes:
        click.echo(f"Note: {note}")
    read = f"{found.read:,} rows read in {found.pages:,} {'page' if found.pages == 1 else 'pages'}"
    reached = "" if found.mark is None else f", up to {found.mark}"
    if found.file is None:
        click.echo(f"{name}: nothing new ({read}{reached}).")
        return
    source = sources.described()[name]
    click.echo(f"{name}: {found.rows:,} new rows ({read}{reached}).")
    click.echo(
        f"Put into dataset {source.dataset}: {found.file}. If Dagster is running (make dev) it will be taken; else: "
        f"optiflow run {source.pipeline} {source.dataset}"
    )


@main.group()
def fred() -> None:
    """Look for FRED series."""


@fred.command()
@click.argument("text")
@click.option("--limit", default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def search(text: str, limit: int, as_json: bool) -> None:
    """Find series whose title or id has TEXT in it."""
    from optiflow_dagster.cli.workplace import open_workplace

    found = open_workplace().adapters.fred.search(text, limit)
    if as_json:
        click.echo(json.dumps(found.to_dicts(), indent=2, default=str))
        return
    for row in found.iter_rows(named=True):
        click.echo(f"{row['id']:<16} {row['frequency']:<3} {row['title']} ({row['units']})")
    if found.is_empty():
        click.echo("No series found. Try fewer or other words.")


for command in (db, endpoint, compare, delete, export, rename):
    main.add_command(command)


@main.command()
@click.argument("pipeline", default=PIPELINE)
def demo(pipeline: str) -> None:
    """Run a pipeline on its bundled sample: orders unless another is named."""
    from optiflow.dataset_id import OPTIONS_SUFFIX
    from optiflow.pipelines import samples
    from optiflow_dagster.cli.workplace import open_workplace, pipeline_named
    from resources.landing import landing_prefix

    pipeline_named(pipeline)
    storage = open_workplace().adapters.storage
    with TemporaryDirectory() as folder:
        file = samples.write_sample(pipeline, Path(folder))
        for path in (file.with_name(file.name + OPTIONS_SUFFIX), file):  # whoever sees the table sees its options too
            if path.is_file():
                storage.put_file(f"{landing_prefix(pipeline)}/{path.name}", path)
    click.echo(f"The sample: {storage.uri_for(landing_prefix(pipeline))}/{file.name}")
    _run(pipeline, file.stem)


@main.command()
@click.argument("pipeline")
@click.argument("folder", type=click.Path(file_okay=False), default=".")
def sample(pipeline: str, folder: str) -> None:
    """Write a pipeline's sample into a folder, to look at its form or to try an upload."""
    from optiflow.pipelines import samples
    from optiflow_dagster.cli.workplace import pipeline_named

    pipeline_named(pipeline)
    click.echo(samples.write_sample(pipeline, Path(folder)))


def _run(pipeline: str, dataset: str) -> None:
    from optiflow.dataset_id import check_dataset_id
    from optiflow_dagster.cli import show
    from optiflow_dagster.cli.workplace import open_workplace, pipeline_named
    from resources.landing import find_upload

    console = show.console()
    workplace, spec = open_workplace(), pipeline_named(pipeline)
    store = workplace.adapters.catalog.open()
    find_upload(
        workplace.adapters.storage, pipeline, check_dataset_id(dataset), lambda: store.file_name(pipeline, dataset)
    )
    console.print(f"{pipeline} {dataset}", style="bold")

    from optiflow_dagster.cli.progress import execute
    from optiflow_dagster.definitions import build_definitions
    from optiflow_dagster.partitions import DATASETS
    from optiflow_dagster.pools import free_abandoned_slots

    began = time.monotonic()
    with workplace.instance() as instance:
        free_abandoned_slots(instance)
        instance.add_dynamic_partitions(str(DATASETS[pipeline].name), [dataset])
        definitions = build_definitions(workplace.settings, {pipeline: spec})
        failures = execute(definitions, f"{pipeline}_job", dataset, instance, console)
    if failures:
        raise _as_error(failures[0])
    record, found = workplace.installation.find_report(spec, dataset)
    show.print_outcome(console, workplace, record, spec, found, time.monotonic() - began)


def _as_error(failure: "StepFailure") -> OptiflowError:
    if failure.kind == "input":
        return UserError(failure.message)
    if failure.kind == "bug":
        return JobFailedError(
            f"{failure.asset} failed in a way that OptiFlow does not know: {failure.message}\n"
            "The run's log in the UI (make dev) has the details. Your upload is untouched."
        )
    return JobFailedError(failure.message)


def _fail(message: str, code: int) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
