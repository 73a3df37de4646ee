"""A job's output in CloudWatch Logs, which here are moto's."""

import threading
import time
from typing import Any

from moto.logs.models import logs_backends

from aws_double.job import ACCOUNT, Job

MOTO_LOGS = threading.RLock()
"""Held by whoever writes to moto's logs or reads them. Without it, of two jobs that make their common group at once one
replaces the other's, whose streams are gone with it; and a reading breaks off when a stream is added meanwhile."""
BATCH_SECONDS = 0.2


class JobLog:
    """A log stream of the job; lines are sent in batches. For one thread."""

    def __init__(self, job: Job, stream: str) -> None:
        self._group = job.kind.log_group
        self._stream = f"{job.name}/{stream}"
        with MOTO_LOGS:
            self._backend = logs_backends[ACCOUNT][job.region]
        self._events: list[dict[str, Any]] = []
        self._last = 0
        self._sent = 0.0

    def add(self, line: str) -> None:
        """Add a line, sent at once if none was lately."""
        # A clock that is set back does not stop the log: events of one request must be in the order of their times.
        self._last = max(self._last, int(time.time() * 1000))
        self._events.append({"timestamp": self._last, "message": line})
        if time.monotonic() - self._sent > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what is left."""
        events, self._events = self._events, []
        if not events:
            return
        with MOTO_LOGS:
            self._backend.ensure_log_group(self._group)
            self._backend.ensure_log_stream(self._group, self._stream)
            self._backend.put_log_events(self._group, self._stream, events)
        self._sent = time.monotonic()
