"""An ERP's API as a source: `sources.yaml` says where rows come from, a pull puts the new ones into the landing folder.

What belongs here: asking an API page by page, and how far it was read. What does not: when a pull is due
(`optiflow_dagster.sensors.sources`), and what becomes of the rows, which is the same as for a file that somebody drops.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from optiflow.errors import UserError
from resources.sources.description import Source, read_sources
from resources.storage import Storage

if TYPE_CHECKING:
    from resources.sources.pull import Pulled

SOURCES_FILE = "sources.yaml"

__all__ = ["SOURCES_FILE", "Source", "Sources"]


class Sources(dg.ConfigurableResource):
    """The sources of an installation: what `sources.yaml` in the project's folder says."""

    folder: str
    storage: dg.ResourceDependency[Storage]

    def described(self) -> dict[str, Source]:
        """All sources by name; none if there is no `sources.yaml`.

        Raises:
            UserError: the file is wrong; names the source and the key.
        """
        path = Path(self.folder, SOURCES_FILE)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError as error:
            raise UserError(f"{SOURCES_FILE}: not UTF-8 text; save it as UTF-8.") from error
        return read_sources(text, SOURCES_FILE)

    def filling(self, pipeline: str, dataset: str) -> tuple[str, ...]:
        """The names of the sources that put their rows into a dataset.

        Raises:
            UserError: `sources.yaml` is wrong.
        """
        found = self.described().values()
        return tuple(source.name for source in found if (source.pipeline, source.dataset) == (pipeline, dataset))

    def forget(self, name: str) -> None:
        """Forget how far a source was read: its next pull begins from the start."""
        from resources.sources.state import forget_state

        forget_state(self.storage, name)

    def pull(self, name: str, *, from_start: bool = False) -> "Pulled":
        """Put what is new in a source into the landing folder; `from_start`, all of it.

        Raises:
            UserError: there is no such source, or its description, its token or its answers are wrong.
            TransientError: it does not answer, or not in full; nothing was taken.
        """
        from resources.sources.pull import pull

        sources = self.described()
        if name not in sources:
            known = f"there are {', '.join(sorted(sources))}" if sources else "it describes none, or is not there"
            raise UserError(f"No source {name!r} in {Path(self.folder, SOURCES_FILE)}: {known}.")
        return pull(sources[name], self.storage, from_start=from_start)
