"""`fred_sensor`: has every FRED series in use fetched when its asset's condition says so, daily.

What belongs here: that the condition is watched. What does not: when a series is due (`assets.fred`).
"""

import dagster as dg

EVERY_SECONDS = 60


def fred_sensor() -> dg.AutomationConditionSensorDefinition:
    """Watches the conditions of FRED's assets; a morning with several series is one backfill."""
    return dg.AutomationConditionSensorDefinition(
        "fred_sensor",
        target=dg.AssetSelection.groups("fred"),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=EVERY_SECONDS,
        description="Fetches every FRED series that a dataset uses, daily at 06:30 UTC.",
    )
