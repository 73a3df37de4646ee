"""`optiflow endpoint`: the served models of `turnover`, for whoever asks them or looks after them.

What belongs here: reading arguments and showing answers. What does not: deploying, which the asset `turnover/endpoint`
does when there is a better model.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from optiflow.errors import UserError

if TYPE_CHECKING:
    from resources.endpoints.contract import EndpointState

SHOWN = ("retailer", "name", "status", "model", "previous_model", "failure_reason", "console_url")


@click.group()
def endpoint() -> None:
    """Ask and look after the endpoints that serve each retailer's turnover model."""


@endpoint.command()
@click.argument("retailer", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(retailer: str | None, as_json: bool) -> None:
    """Show the endpoint of RETAILER, or of all."""
    from optiflow_dagster.cli.workplace import open_workplace
    from resources.endpoints.contract import no_endpoint

    adapters = open_workplace().adapters
    known = {
        record.dataset
        for record in adapters.catalog.open().datasets()
        if record.pipeline == adapters.endpoints.pipeline
    }
    found = [adapters.endpoints.describe(name) for name in ([retailer] if retailer else sorted(known))]
    states = [state for state in found if state is not None]
    if retailer and not states:
        raise UserError(no_endpoint(adapters.endpoints.pipeline, str(retailer)))
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2, default=str))
    elif not states:
        click.echo(f"There is no endpoint yet: `optiflow run {adapters.endpoints.pipeline} RETAILER` makes one.")
    else:
        click.echo("\n\n".join(_told(state) for state in states))


@endpoint.command()
@click.argument("retailer")
@click.argument("file", type=click.Path(path_type=Path))
def ask(retailer: str, file: Path) -> None:
    """Ask RETAILER's model about the items in FILE, a JSON file such as

    \b
    {"instances": [{"price": 89.5, "description": "oak table",
      "category": "furniture", "brand": "Ekeby", "created": "2016-07-01"}]}
    """
    from optiflow_dagster.cli.workplace import open_workplace

    source = file.absolute()  # before the project's folder becomes the current one
    if not source.is_file():
        raise UserError(f"{file} is not a file.")
    click.echo(open_workplace().adapters.endpoints.invoke(retailer, source.read_bytes()).decode())


@endpoint.command("roll-back")
@click.argument("retailer")
def roll_back(retailer: str) -> None:
    """Serve the model again that RETAILER's endpoint served before this one.

    The model that is taken out of service is not deployed again by later runs; another champion is.
    """
    from optiflow_dagster.cli.workplace import open_workplace

    endpoints = open_workplace().adapters.endpoints
    endpoints.roll_back(retailer)
    click.echo(_told(endpoints.wait(retailer)))


@endpoint.command()
@click.argument("retailer")
def delete(retailer: str) -> None:
    """Take RETAILER's endpoint away; its models stay, and the next run makes the endpoint anew."""
    from optiflow_dagster.cli.workplace import open_workplace
    from resources.endpoints.contract import no_endpoint

    endpoints = open_workplace().adapters.endpoints
    state = endpoints.describe(retailer)
    if state is None or not endpoints.delete(retailer):
        raise UserError(no_endpoint(endpoints.pipeline, retailer))
    click.echo(f"Endpoint {state.name} is deleted.")


def _told(state: "EndpointState") -> str:
    rows = [(name.replace("_", " "), getattr(state, name)) for name in SHOWN]
    return "\n".join(f"{name:<16}{value}" for name, value in rows if value is not None)
