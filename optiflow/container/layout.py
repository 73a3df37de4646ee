"""SageMaker's folders below `/opt/ml`: where a training program finds its input and leaves its output.

Source: "How Amazon SageMaker AI provides training information" in the developer guide.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optiflow.disk import make_folder, replace_on_disk
from optiflow.errors import UserError

NOT_OURS = ("sagemaker_", "_tuning_objective_metric")
"""How the names of hyperparameters begin that are for SageMaker's toolkit."""


@dataclass(frozen=True)
class Layout:
    """The folders and files of one job below `prefix`."""

    prefix: Path

    @property
    def model(self) -> Path:
        """Folder of the model, written by training and read by scoring."""
        return self.prefix / "model"

    @property
    def output_data(self) -> Path:
        """Folder of everything else that a job leaves: metrics, predictions."""
        return self.prefix / "output" / "data"

    @property
    def failure(self) -> Path:
        """File that says in plain text why the job failed."""
        return self.prefix / "output" / "failure"

    @property
    def exit_message(self) -> Path:
        """What `failure` is for a Processing job."""
        return self.prefix / "output" / "message"

    def channel(self, name: str) -> Path:
        """Folder of a channel's files."""
        return self.prefix / "input" / "data" / name

    def hyperparameters(self) -> dict[str, str]:
        """The hyperparameters, all of them strings; empty if the file is missing.

        SageMaker's own entries (`sagemaker_program`, …) are left out, and quotes are taken off: its Python SDK writes
        every value as JSON once more.
        """
        values = self._config("hyperparameters.json")
        return {name: _unquoted(str(value)) for name, value in values.items() if not name.startswith(NOT_OURS)}

    def content_types(self) -> dict[str, str | None]:
        """Each configured channel's media type in lower case, without parameters; None where none is given."""
        channels = self._config("inputdataconfig.json")
        types = {name: (channel or {}).get("ContentType") for name, channel in channels.items()}
        return {name: text.split(";")[0].strip().lower() if text else None for name, text in types.items()}

    def hosts(self) -> list[str]:
        """The hosts that share the job."""
        return list(self._config("resourceconfig.json").get("hosts") or ["algo-1"])

    def _config(self, name: str) -> Mapping[str, Any]:
        path = self.prefix / "input" / "config" / name
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise UserError(f"{name}: not valid JSON ({error}).") from error


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends without an error; it is on the disk then.

    The result that says the job has completed is, too, and would be believed after a power cut.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        replace_on_disk(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
