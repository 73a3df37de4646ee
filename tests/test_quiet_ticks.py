"""The log of `make dev`: what happened, and not that a sensor has looked."""

import logging
from collections.abc import Iterator

import pytest
from dagster._daemon.daemon import SchedulerDaemon, SensorDaemon, get_default_daemon_logger

from optiflow_dagster.quiet_ticks import LOGGERS, QuietTicks, quieten_ticks
from optiflow_dagster.run_queue import DatasetQueue

SENSORS = LOGGERS[0]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger(SENSORS)
    before = list(logger.filters)
    logger.filters.clear()
    yield logger
    logger.filters[:] = before


def test_a_minute_of_looking_is_one_line_a_sensor_and_what_happens_is_told(logger, caplog):
    quieten_ticks()
    quieten_ticks()
    assert len(logger.filters) == 1
    with caplog.at_level(logging.INFO, logger=SENSORS):
        for _ in range(12):
            for sensor in ("uploads_sensor", "external_jobs_sensor"):
                logger.info(f"Checking for new runs for sensor: {sensor}")
                logger.info(f"Sensor {sensor} skipped: nothing new.")
        logger.info("Completed launch of run 1 for uploads_sensor")
        logger.info("Sensor uploads_sensor skipped: Cannot list the folder.")
        logger.info("Sensor uploads_sensor skipped: Cannot list the folder.")
        logger.warning("Sensor uploads_sensor skipped: as a warning it is always told")
        logger.error("Sensor tick caught an error")
    assert [record.getMessage() for record in caplog.records] == [
        "Sensor uploads_sensor skipped: nothing new.",
        "Sensor external_jobs_sensor skipped: nothing new.",
        "Completed launch of run 1 for uploads_sensor",
        "Sensor uploads_sensor skipped: Cannot list the folder.",
        "Sensor uploads_sensor skipped: as a warning it is always told",
        "Sensor tick caught an error",
    ]


def test_dagsters_daemon_has_these_loggers_and_the_queue_quietens_them(logger, instance):
    names = [get_default_daemon_logger(daemon.__name__).name for daemon in (SensorDaemon, SchedulerDaemon)]
    assert names == list(LOGGERS)
    DatasetQueue().register_instance(instance)
    assert [type(found) for found in logger.filters] == [QuietTicks]
