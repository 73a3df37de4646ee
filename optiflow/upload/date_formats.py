"""strptime formats of dates: which ones are tried, which a user may write, and parsing text by one of them.

What does not belong here: choosing a format for a column.
"""

import re

import polars as pl

from optiflow.errors import UserError

DATE_FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y"),
    *("%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y"),
    # %B also reads short names, and %b only short ones.
    *("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%B-%Y", "%d-%b-%y", "%d %b %y", "%d/%b/%Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%Y-%b-%d"),
)
"""Every form that is tried. Two-digit years come last only: `31-05-18` as %y-%m-%d would make every such file ambiguous."""

DIGITS_FORMAT = "%Y%m%d"
EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
"""Times counted since 1970: the format's name, and how many microseconds one unit is."""

DIRECTIVES = "YymdbBeHIMSpfzjTFRD"
TIME_DIRECTIVES = re.compile(r"%\.?#?[HIMSTRfz]")
HOUR, MINUTE = re.compile(r"%[HI]"), re.compile(r"%[MTR]")
FIRST_YEAR, LAST_YEAR = 1000, 9999
TIME = re.compile(
    r"^.*?\d(?P<gap>[T ])(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2})?(?P<fraction>\.\d+)?"
    r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?(?:Z|[+-]\d{2}(?::?\d{2})?))?$"
)


def time_format(text: str) -> str:
    """The format of the time of day at the end of a value, with the gap before it; empty if there is none."""
    match = TIME.match(text)
    if match is None:
        return ""
    clock = "%I:%M" if match["half"] else "%H:%M"
    clock += ":%S" if match["second"] else ""
    clock += "%.f" if match["fraction"] else ""
    half = f"{' ' if match['half'].startswith(' ') else ''}%p" if match["half"] else ""
    zone = f"{' ' if match['zone'].startswith(' ') else ''}%#z" if match["zone"] else ""
    return match["gap"] + clock + half + zone


def check_format(date_format: str, where: str) -> str:
    """The format as polars wants it: Python's `%-d` and `.%f` are put in its words.

    Raises:
        UserError: an unknown directive, or one of year, month and day is missing.
    """
    if date_format in EPOCHS:
        return date_format
    ours = date_format.replace(".%f", "%.f").replace("%z", "%#z")
    ours = re.sub(r"%[-_0]([a-zA-Z])", r"%\1", ours)
    bare = ours.replace("%%", "").replace("%.f", "").replace("%#z", "")
    unknown = [f"%{letter}" for letter in re.findall(r"%(.?)", bare) if letter not in DIRECTIVES or not letter]
    if unknown:
        raise UserError(
            f"{where}: date_format {date_format!r} has the unknown directive {unknown[0]!r}. Known are %Y %y (year), "
            "%m %b %B (month), %d (day), %H %I %M %S %p %z (time)."
        )
    used = set(re.findall(r"%([a-zA-Z])", bare))
    parts = {"year": set("YyFD"), "month": set("mbBFDj"), "day": set("deFDj")}
    if missing := [name for name, letters in parts.items() if not used & letters]:
        raise UserError(
            f"{where}: date_format {date_format!r} has no directive for the {' and the '.join(missing)}. "
            'Write it like "%d/%m/%Y".'
        )
    try:
        parse_dates(pl.Series(["2024-01-31"]), ours)
    except pl.exceptions.PolarsError as error:  # such as a minute without an hour
        raise UserError(
            f'{where}: date_format {date_format!r} is none: {str(error).splitlines()[0]} Write it like "%d/%m/%Y".'
        ) from error
    return ours


def parse_dates(values: pl.Series, date_format: str) -> pl.Series:
    """Text as Date, or as Datetime('us') in UTC without a zone if the format has a time; null where it does not fit.

    A year below 1000 is no fit: `31/5/18` is not the year 18.
    """
    if date_format in EPOCHS:
        # Programs whose whole numbers know no gaps write 1704096000000.0.
        count = values.cast(pl.Float64, strict=False) * EPOCHS[date_format]
        parsed = count.cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
    elif not TIME_DIRECTIVES.search(date_format):
        parsed = values.str.to_date(date_format, strict=False)
    else:
        if HOUR.search(date_format) and not MINUTE.search(date_format):
            # The engine takes no hour without a minute, which files by the hour write: `2024-01-31 17`, `5 PM`.
            values, date_format = values + ":00", date_format + ":%M"
        parsed = values.str.to_datetime(date_format, time_unit="us", strict=False)
        if parsed.dtype.time_zone is not None:  # pyright: ignore[reportAttributeAccessIssue]
            parsed = parsed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    in_range = parsed.dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    return parsed.to_frame("d").select(pl.when(in_range).then("d")).to_series().alias(values.name)


def epoch_format(values: pl.Series) -> str | None:
    """The format of text that counts seconds or milliseconds since 1970, as its number of digits tells; else None."""
    for name, pattern in (("epoch_ms", r"^1\d{12}(\.\d+)?$"), ("epoch_s", r"^1\d{9}(\.\d+)?$")):
        if len(values.drop_nulls()) and bool(values.drop_nulls().str.contains(pattern).all()):
            return name
    return None


def without_midnights(dates: pl.Series) -> pl.Series:
    """Date instead of Datetime when every time of day is midnight, as exports of plain dates often have it."""
    if dates.dtype == pl.Date or not bool((dates.dt.truncate("1d") == dates).all()):
        return dates
    return dates.cast(pl.Date)
