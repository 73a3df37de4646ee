"""What we use of Dagster that it does not call public, in one place.

What belongs here: names that nothing public serves for, each with what it is needed for. What does not: using them. They may
move with any release of Dagster: `tests/test_internals.py` then says which one is gone, and this is where to mend it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dagster._core.errors import (
    DagsterUserCodeUnreachableError,  # a launch that nobody answered is not a failed one
    raise_execution_interrupts,  # a run that waits ends when it is asked to
)
from dagster._core.events import RunFailureReason  # whether a run failed, or its process was lost
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus  # what a launcher answers
from dagster._core.storage.tags import GRPC_INFO_TAG  # which server was given a run

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
    from dagster._core.event_api import EventLogCursor
    from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage, SqliteEventLogStorage
    from dagster._core.storage.event_log.base import EventLogConnection
    from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
    from dagster._core.storage.runs import SqliteRunStorage
    from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

__all__ = [
    "GRPC_INFO_TAG",
    "SQLITE_BUSY_TIMEOUT_SECONDS",
    "AssetJob",
    "CheckRunHealthResult",
    "ConsolidatedSqliteEventLogStorage",
    "DagsterUserCodeUnreachableError",
    "EventLogConnection",
    "EventLogCursor",
    "LaunchRunContext",
    "RunFailureReason",
    "SqlPollingEventWatcher",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "WorkerStatus",
    "raise_execution_interrupts",
]

_LATER = {
    "ConsolidatedSqliteEventLogStorage": "dagster._core.storage.event_log",  # all runs' events in one database
    "EventLogConnection": "dagster._core.storage.event_log.base",  # a page of a run's events
    "EventLogCursor": "dagster._core.event_api",  # where the next page begins
    "SqlPollingEventWatcher": "dagster._core.storage.event_log.polling_event_watcher",  # tells new events by asking
    "SqliteEventLogStorage": "dagster._core.storage.event_log",  # a file a run, which earlier versions had
    "SqliteRunStorage": "dagster._core.storage.runs",  # which runs are at work, before there is an instance
    "SQLITE_BUSY_TIMEOUT_SECONDS": "dagster._core.storage.sqlite",  # how long Dagster waits for another writer
}
"""Imported by whoever asks, since they take a while and only an instance's process needs them."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
