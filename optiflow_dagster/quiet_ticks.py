"""What the daemon says of its sensors' ticks, told once: a sensor that looks every few seconds has mostly nothing to tell.

What belongs here: which lines are left out of the log of `make dev`. What does not: what sensors say, which Dagster keeps
with every tick and shows in the UI.
"""

import logging
import re
import threading

LOGGERS = ("dagster.daemon.SensorDaemon", "dagster.daemon.SchedulerDaemon")
"""Dagster's names of the loggers; under other ones nothing is left out."""

_LOOKS = re.compile(r"Checking for new runs for ")
_SKIPPED = re.compile(r"Sensor (\S+) skipped: (.*)", re.DOTALL)
_NOTHING = re.compile(r"No new runs for ")


class QuietTicks(logging.Filter):
    """Leaves out that a sensor looks, and why it did nothing unless that is news. Warnings and errors pass."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        message = record.getMessage()
        if record.levelno > logging.INFO:
            return True
        if _LOOKS.match(message) or _NOTHING.match(message):
            return False
        if skipped := _SKIPPED.fullmatch(message):
            sensor, why = skipped.groups()
            with self._lock:
                is_news = self._said.get(sensor) != why
                self._said[sensor] = why
            return is_news
        return True


def quieten_ticks() -> None:
    """Have the daemon of this process say what happened; a second time changes nothing."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(found, QuietTicks) for found in logger.filters):
            logger.addFilter(QuietTicks())
