"""Where the command line works: the project's folder, its settings, resources and Dagster instance."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from optiflow.disk import make_private
from optiflow.errors import UserError
from optiflow.pipelines import pipeline_named
from resources.adapters import Adapters
from resources.installation import Installation
from resources.settings import Settings, load_settings

__all__ = ["Workplace", "open_workplace", "pipeline_named"]

DAGSTER_YAML = "dagster.yaml"


@dataclass(frozen=True)
class Workplace:
    """The settings of this project and the adapters that they describe."""

    settings: Settings
    adapters: Adapters

    @property
    def installation(self) -> Installation:
        """What it holds, for reading."""
        return Installation(self.adapters)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The Dagster instance that the UI and the daemon use too."""
        os.environ.setdefault("DAGSTER_HOME", str(self.settings.home.absolute()))
        with dg.DagsterInstance.get() as instance:
            yield instance


def open_workplace() -> Workplace:
    """Find the project's folder and make it the current one: `dagster.yaml` names places relative to it.

    Raises:
        UserError: there is no project here, or a variable is wrong.
    """
    home = _project_folder()
    os.chdir(home)
    settings = load_settings(home=home)
    if settings.env == "local":
        make_private(settings.work_dir)  # before Dagster makes it as folders are made, which everybody can look into
    return Workplace(settings, Adapters.of(settings))


def _project_folder() -> Path:
    for variable in ("OPTIFLOW_HOME", "DAGSTER_HOME"):
        folder = os.environ.get(variable)
        if folder:
            if not (Path(folder) / DAGSTER_YAML).is_file():
                raise UserError(
                    f"{variable} is {folder!r}, where there is no {DAGSTER_YAML}: set it to the project's folder."
                )
            return Path(folder).absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / DAGSTER_YAML).is_file() and (folder / "optiflow_dagster").is_dir():
            return folder
    raise UserError(
        f"{here} is not in an OptiFlow project: run this in the project's folder, or set OPTIFLOW_HOME to it."
    )
