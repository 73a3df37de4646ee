"""Spans of time as people write them: `30min`, `12h`, `1d`, `1w`."""

import re
from typing import Annotated

from pydantic import BeforeValidator

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN = re.compile(r"(\d{1,6}) ?(s|min|h|d|w)")


def _checked(value: object) -> str:
    text = str(value).strip()
    if text != "0" and not _SPAN.fullmatch(text):
        raise ValueError("expected a number and a unit, such as 30min, 12h, 1d or 1w")
    return text


Span = Annotated[str, BeforeValidator(_checked)]
"""The field of a model that holds one."""


def seconds(span: str) -> int:
    """How long a span is.

    Args:
        span: A number and one of `UNITS`, or `0`; checked before.
    """
    found = _SPAN.fullmatch(span.strip())
    return int(found[1]) * UNITS[found[2]] if found else 0
