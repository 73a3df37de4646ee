"""`optiflow delete`, `rename`, `export` and `compare`: what people do with a dataset that is there.

What belongs here: asking, and saying what goes and what stays. What does not: doing it (`optiflow_dagster.removal`,
`optiflow.export`, `compared`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from optiflow.errors import UserError

if TYPE_CHECKING:
    from optiflow_dagster.removal import Belongings
    from resources.landing import LandedFile


@click.command()
@click.argument("pipeline")
@click.argument("dataset")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. The upload stays, unless --upload is given too.")
@click.option(
    "--upload/--keep-upload", "with_upload", default=None, help="Whether the file in the landing folder goes as well."
)
def delete(pipeline: str, dataset: str, yes: bool, with_upload: bool | None) -> None:
    """Delete all that was made of DATASET: tables, reports, models, jobs, its endpoint, its place in the UI's lists.

    It says what goes and what stays, and asks. The file in the landing folder is yours: it is asked for apart.
    """
    from optiflow_dagster.cli.workplace import open_workplace, pipeline_named
    from optiflow_dagster.removal import belongings, refuse_while_it_runs, remove

    workplace, name = open_workplace(), pipeline_named(pipeline).name
    with workplace.instance() as instance:
        found = belongings(workplace.adapters, instance, name, dataset)
        if found.is_empty and not (found.uploads and with_upload):
            raise UserError(_nothing(workplace.installation.datasets(name), found))
        refuse_while_it_runs(instance, name, dataset)
        click.echo(_told(found))
        if with_upload is None:
            with_upload = bool(found.uploads) and not yes and click.confirm(f"Delete {_names(found.uploads)} too?")
        if not yes:
            click.confirm(
                f"Delete {name} {dataset}{' with its upload' if with_upload and found.uploads else ''}?", abort=True
            )
        remove(workplace.adapters, instance, found, uploads=found.uploads if with_upload else ())
    click.echo(f"{name} {dataset} is deleted.")
    if found.uploads and not with_upload:
        click.echo(_what_becomes_of(found))


@click.command()
@click.argument("pipeline")
@click.argument("dataset")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def rename(pipeline: str, dataset: str, name: str, yes: bool) -> None:
    """Give DATASET another NAME: its upload is renamed, and what was made of it under the old name is deleted.

    Names are in tables, models and reports, so all of them are made anew: at once if Dagster is running (make dev), else by
    optiflow run.
    """
    from optiflow_dagster.cli.workplace import open_workplace, pipeline_named
    from optiflow_dagster.removal import belongings, refuse_while_it_runs, remove
    from optiflow_dagster.renaming import put_under_name, renamed

    workplace, pipeline = open_workplace(), pipeline_named(pipeline).name
    storage = workplace.adapters.storage
    with workplace.instance() as instance:
        found = belongings(workplace.adapters, instance, pipeline, dataset)
        if found.is_empty and not found.uploads:
            raise UserError(_nothing(workplace.installation.datasets(pipeline), found))
        refuse_while_it_runs(instance, pipeline, dataset)
        _refuse_pulled(found, name)
        moves = renamed(storage, found, name, belongings(workplace.adapters, instance, pipeline, name))
        click.echo("\n".join(f"{old.name} becomes {new}" for old, new in moves))
        if not found.is_empty:
            click.echo(_told(found))
        if not yes:
            click.confirm(f"Rename {pipeline} {dataset} to {name}?", abort=True)
        put_under_name(storage, moves)
        remove(workplace.adapters, instance, found, uploads=found.uploads)
    click.echo(
        f"{pipeline} {dataset} is {name} now. If Dagster is running (make dev) it has begun; else: optiflow run {pipeline} {name}"
    )


@click.command()
@click.argument("pipeline")
@click.argument("dataset")
@click.argument("result")
@click.option(
    "--to", "target", required=True, type=click.Path(path_type=Path), help="FILE.csv, FILE.xlsx or FILE.parquet."
)
@click.option("--revision", help="Of this revision, or of the one that begins so; else of the newest report.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def export(pipeline: str, dataset: str, result: str, target: Path, revision: str | None, force: bool) -> None:
    """Write RESULT of DATASET into a file: predictions, forecast, stock, …, or upload, rejected, train, test, actuals."""
    from optiflow.export import check_target, export_table
    from optiflow_dagster.cli.workplace import open_workplace

    target = target.absolute()  # before the project's folder becomes the current one
    check_target(target)
    if target.exists() and not force:
        raise UserError(f"{target} is there already: name another file, or overwrite it with --force.")
    table = open_workplace().installation.result(pipeline, dataset, result, revision)
    rows = export_table(table, target)
    click.echo(f"{target}: {rows:,} rows, {len(table.collect_schema())} columns.")


@click.command()
@click.argument("pipeline")
@click.argument("dataset")
@click.argument("revisions", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def compare(pipeline: str, dataset: str, revisions: Sequence[str], as_json: bool) -> None:
    """Set the reports of two REVISIONS of DATASET side by side; without names, the newest two that have one."""
    from optiflow_dagster.cli import show
    from optiflow_dagster.cli.compared import compared, print_compared
    from optiflow_dagster.cli.workplace import open_workplace, pipeline_named

    if len(revisions) not in (0, 2):
        raise UserError("Name two revisions, or none for the newest two. `optiflow status --json` lists them.")
    found = compared(open_workplace().installation, pipeline_named(pipeline), dataset, revisions)
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
    else:
        print_compared(show.console(), found)


def _names(uploads: "Sequence[LandedFile]") -> str:
    return " and ".join(
        file.name
        + (f"/ ({len(file.parts):,} files)" if file.is_folder else "")
        + (" with its options" if file.options else "")
        for file in uploads
    )


def _sources(found: "Belongings") -> str:
    return f"the source {' and '.join(found.sources)} of sources.yaml"


def _refuse_pulled(found: "Belongings", name: str) -> None:
    if found.sources:
        raise UserError(
            f"{_sources(found).capitalize()} would go on to fill {found.dataset!r}. Stop Dagster if it is running, write dataset: "
            f"{name} there, then do this again: it goes on where it was. Nothing was changed."
        )


def _nothing(known: Sequence, found: "Belongings") -> str:
    names = ", ".join(sorted({record.dataset for record in known})) or "none"
    lies = f" {_names(found.uploads)} in {found.where} was never run: remove it there." if found.uploads else ""
    return f"There is no dataset {found.dataset!r} in {found.pipeline}.{lies} Datasets: {names}."


def _told(found: "Belongings") -> str:
    reports = len({record.revision for record in found.records})
    goes = [
        f"{reports} revision(s) with their tables and reports: {found.files:,} files, {found.bytes / 1e6:,.1f} MB in the lake",
        f"{len(found.models)} model(s), {len(found.jobs)} job(s) with their logs and outputs",
        *([f"the endpoint {found.endpoint}, which answers nothing any more"] if found.endpoint else []),
        *(["its place in the lists of Dagster's UI"] if found.has_partition else []),
    ]
    stays = ["FRED series, which all datasets share", "Dagster's history of its runs, until it is old"]
    if found.sources:
        stays.append(
            f"{_sources(found)}, which fills it: take it out, or the dataset comes again with the next pull. If its upload goes, "
            "that pull has all rows, else those since the last one"
        )
    if found.uploads:
        stays.insert(0, f"{_names(found.uploads)} in {found.where}, unless you say otherwise")
    return "\n".join(["These go:", *(f"  {line}" for line in goes), "These stay:", *(f"  {line}" for line in stays)])


def _what_becomes_of(found: "Belongings") -> str:
    return (
        f"{_names(found.uploads)} stays in {found.where}. As it lies there it is not run again; the dataset begins anew when the "
        f"file or its options change, or with `optiflow run {found.pipeline} {found.dataset}`. To be rid of it, remove the file."
    )
