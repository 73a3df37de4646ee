"""What we use of Dagster that it does not call public, in one place.

What belongs here: names that nothing public serves for, each with what it is needed for. What does not: using them. They may
move with any release of Dagster: `tests/test_internals.py` then says which one is gone, and this is where to mend it.
"""

from typing import TYPE_CHECKING

from dagster._core.errors import DagsterUserCodeUnreachableError  # a launch that nobody answered is not a failed one
from dagster._core.events import RunFailureReason  # whether a run failed, or its process was lost
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus  # what a launcher answers
from dagster._core.storage.tags import GRPC_INFO_TAG  # which server was given a run

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

__all__ = [
    "GRPC_INFO_TAG",
    "AssetJob",
    "CheckRunHealthResult",
    "DagsterUserCodeUnreachableError",
    "LaunchRunContext",
    "RunFailureReason",
    "WorkerStatus",
    "sqlite_event_log_storage",
]


def sqlite_event_log_storage() -> "type[SqliteEventLogStorage]":
    """The storage that keeps a file a run, which deletes no file: imported by whoever asks, since it takes a while."""
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    return SqliteEventLogStorage
