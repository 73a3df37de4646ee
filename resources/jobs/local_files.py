"""The JSON files of a local job's folder, read without trust: what is in them, or what is wrong with them.

What belongs here: the shape of each file. What does not: what follows for the job (`local_folder`).
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources.jobs.contract import JobKind, JobStatus

EARLIEST_YEAR, LATEST_YEAR = 1970, 9000
"""Of a job's times: others are no times, and pauses cannot be added to them."""


class DamagedFileError(Exception):
    """A file cannot be read as what it should be; names the file and says what is wrong."""


@dataclass(frozen=True)
class Result:
    """How a job stands; `ended_at` is known of one in a final state."""

    status: JobStatus
    ended_at: datetime | None = None
    failure_reason: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


def read_kind(request: Path) -> JobKind:
    """What the job does.

    Raises:
        DamagedFileError: the request does not say so.
    """
    return JobKind(_choice(request, _read(request), "kind", list(JobKind)))


def read_time(path: Path, key: str) -> datetime:
    """A time with its zone.

    Raises:
        DamagedFileError: the file does not say it.
    """
    return _time(path, _read(path), key)


def read_result(path: Path) -> Result | None:
    """The job's result; None as long as there is none.

    Raises:
        DamagedFileError: there is one, but it cannot be told what it says.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    said = _read(path)
    final = [status for status in JobStatus if status.is_final]
    status = JobStatus(_choice(path, said, "status", final))
    reason, metrics = said.get("failure_reason"), said.get("metrics")
    if not isinstance(reason, str | None):
        raise DamagedFileError(f"{path}: failure_reason is no text")
    if not isinstance(metrics, dict) or not all(type(value) in (int, float) for value in metrics.values()):
        raise DamagedFileError(f"{path}: metrics are no numbers by name")
    # Half a surrogate pair is a string in JSON, but no database takes it.
    reason = reason and reason.encode("utf-8", "replace").decode()
    return Result(status, _time(path, said, "ended_at"), reason, metrics)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for a writer
            raise DamagedFileError(f"{path} is no file")
        text = path.read_bytes()
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be opened ({error.strerror})") from error
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} {'holds no JSON' if text.strip() else 'is empty'}") from error
    if not isinstance(said, dict):
        raise DamagedFileError(f"{path} holds no JSON object")
    return said


def _choice(path: Path, said: dict[str, Any], key: str, allowed: list[Any]) -> str:
    value: Any = said.get(key)
    if value not in allowed:
        raise DamagedFileError(f"{path}: {key} is {value!r:.80}, not one of {', '.join(allowed)}")
    return value


def _time(path: Path, said: dict[str, Any], key: str) -> datetime:
    value = said.get(key)
    try:
        time = datetime.fromisoformat(value)  # pyright: ignore[reportArgumentType]
        if time.tzinfo is not None and EARLIEST_YEAR <= time.year <= LATEST_YEAR:
            return time.astimezone(UTC)
    except (TypeError, ValueError):
        pass
    raise DamagedFileError(f"{path}: {key} is {value!r:.80}, not a time with its zone")
