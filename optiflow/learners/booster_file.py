"""Boosters of XGBoost in files: UBJ or JSON, never a pickle; and XGBoost's own words for what is wrong.

What belongs here: what every learner that grows XGBoost's trees needs of them. What does not: growing them.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from optiflow.errors import UserError

if TYPE_CHECKING:
    from xgboost import Booster


def save(booster: "Booster", path: Path) -> None:
    """Write the model as UBJ; the bytes reach the disk or this raises.

    Python writes the file, because XGBoost's own writer does not report a full disk.
    """
    with path.open("wb") as file:
        file.write(booster.save_raw("ubj"))
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> "Booster":
    """Read a model, UBJ or JSON; never a pickle.

    Raises:
        UserError: the file is not such a model.
    """
    import xgboost

    data = bytearray(path.read_bytes())
    if not data:  # XGBoost 3.2 aborts the whole process on an empty buffer
        raise UserError(f"{path.name} is empty: train again.")
    booster = xgboost.Booster()
    try:
        booster.load_model(data)
    except xgboost.core.XGBoostError as error:
        raise UserError(f"{path.name} is not an XGBoost model in UBJ or JSON: {reason_of(error)}") from error
    return booster


def reason_of(error: Exception) -> str:
    """XGBoost's sentence, without the time, the C++ source line and the stack trace around it."""
    text = str(error).split("Stack trace:")[0].strip()
    return re.sub(r"^\[[^]]*\] \S+:\d+: (?:Check failed: .*?: )?", "", text)
