"""strptime formats of dates: which ones are tried, which a user may write, and parsing text by one of them.

A time zone is read over: the day of an order is the one on the shop's wall, not the one in Greenwich at that moment.
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
    *("%b-%d-%y", "%b-%d-%Y", "%b/%d/%Y", "%G-W%V-%u"),
)
"""Every form that is tried. Two-digit years come last only: `31-05-18` as %y-%m-%d would make every such file ambiguous."""

MONTH_FORMATS = (
    *("%Y-%m", "%Y/%m", "%Y.%m", "%Y%m", "%m/%Y", "%m-%Y", "%m.%Y"),
    *("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%Y-%b"),
)
"""Months stand for their first day. Tried only where a column is known to be a date: elsewhere `2024-05` may be a code."""

DIGITS_FORMATS = ("%Y%m%d", "%Y%m", "%G%V")
EPOCHS = {"epoch_s": (1_000_000, 0), "epoch_ms": (1_000, 0), "excel": (86_400_000_000, -25_569)}
"""Counted times: the format's name, how many microseconds one unit is, and which unit was 1970-01-01 (Excel counts days
from 1899-12-30, so that its wrong leap day in 1900 does no harm after it)."""

DIRECTIVES = "YymdbBeHIMSpfzjTFRDGVuaA"  # pragma: allowlist secret  # letters of dates
TIME_DIRECTIVES = re.compile(r"%\.?#?[HIMSTRfz]")
HOUR, MINUTE = re.compile(r"%[HI]"), re.compile(r"%[MTR]")
FIRST_YEAR, LAST_YEAR = 1000, 9999
ZONE = r"(?:Z|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?(?: ?\([^)]*\))?|[A-Z]{3,5})"
TIME = re.compile(
    r"^.*?\d(?P<gap>T|,? )(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2})?(?P<fraction>\.\d+)?"
    rf"(?P<half> ?[AaPp][Mm])?(?P<zone> ?{ZONE})?$"
)
WEEKDAY = re.compile(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*(?P<gap>,? )")
WEEK = re.compile(
    r"^(?P<before>\D*?)(?P<year>\d{4})(?:(?P<between>\D+)(?P<week>\d{1,2})|(?P<digits>\d{2}))(?P<after>\D*)$"
)
WEEK_WORDS = (
    "w",
    "wk",
    "week",
    "iso",
    "of",
    "kw",
    "woche",
    "cw",
    "sem",
    "semaine",
    "semana",
    "settimana",
    "uge",
    "uke",
    "v",
)
WEEK_FIRST = re.compile(r"^(?P<before>\D*?)(?P<week>\d{1,2})(?P<between>\D+)(?P<year>\d{4})(?P<after>\D*)$")


BUDDHIST = r"(?:^|[^\d:.]|^\d{1,2}\.\d{1,2}\.)(2[45]\d\d)(?:\D|$)"
BUDDHA_TO_CHRIST = 543
FEWEST_DAYS = 3


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


def weekday_format(text: str) -> str:
    """The format of a weekday's name at the beginning of a value, with the gap behind it; empty if there is none."""
    match = WEEKDAY.match(text)
    return f"%A{match['gap']}" if match else ""


def week_format(text: str) -> str | None:
    """The format of a value that may be a week of a year, such as `2023-W05`, `202305` or `week 5 2023`; else None."""
    for shape, first, second in ((WEEK, "%G", "%V"), (WEEK_FIRST, "%V", "%G")):
        if match := shape.match(text):
            before, between, after = ((match[part] or "").replace("%", "%%") for part in ("before", "between", "after"))
            words = re.findall(r"[^\W\d_]+", f"{before} {between} {after}".casefold())
            if not all(word in WEEK_WORDS for word in words):  # Q1 2020 is a quarter
                return None
            return f"{before}{first}{between}{second}{after}"
    return None


def is_week(date_format: str) -> bool:
    """Whether it is a format of weeks by ISO 8601, which stand for their Monday."""
    return "%V" in date_format


def check_format(date_format: str, where: str) -> str:
    """The format as polars wants it: Python's `%-d` and `.%f` are put in its words.

    Raises:
        UserError: an unknown directive, or the year or the month (or the week) is missing.
    """
    if date_format in EPOCHS:
        return date_format
    ours = date_format.replace(".%f", "%.f").replace("%z", "%#z").replace("%Z", "%#z")
    ours = re.sub(r"%[-_0]([a-zA-Z])", r"%\1", ours)
    bare = ours.replace("%%", "").replace("%.f", "").replace("%#z", "")
    unknown = [f"%{letter}" for letter in re.findall(r"%(.?)", bare) if letter not in DIRECTIVES or not letter]
    if unknown:
        raise UserError(
            f"{where}: date_format {date_format!r} has the unknown directive {unknown[0]!r}. Known are %Y %y (year), "
            "%m %b %B (month), %d (day), %H %I %M %S %p %z (time), %A (weekday), %G %V (year and week by ISO 8601)."
        )
    used = set(re.findall(r"%([a-zA-Z])", bare))
    if "V" in used and not used & set("mbBdeFDj"):
        return ours.replace("%Y", "%G")
    parts = {"year": set("YyFD"), "month": set("mbBFDj")}
    missing = [name for name, letters in parts.items() if not used & letters]
    if missing:
        missing += [] if used & set("deFDj") else ["day"]
        raise UserError(
            f"{where}: date_format {date_format!r} has no directive for the {' and the '.join(missing)}. "
            'Write it like "%d/%m/%Y", or for weeks like "%G-W%V".'
        )
    try:
        parse_dates(pl.Series(["2024-01-31"]), ours)
    except pl.exceptions.PolarsError as error:  # such as a minute without an hour
        raise UserError(
            f'{where}: date_format {date_format!r} is none: {str(error).splitlines()[0]} Write it like "%d/%m/%Y".'
        ) from error
    return ours


def parse_dates(values: pl.Series, date_format: str) -> pl.Series:
    """Text as Date, or as Datetime('us') by the wall's clock if the format has a time; null where it does not fit.

    A year below 1000 is no fit: `31/5/18` is not the year 18. A week is its Monday, a month its first day. A zone may be
    there or not, since the hour beside it is the one that people saw.
    """
    values, date_format = _whole_day(*_without_zone(values, date_format))
    if date_format in EPOCHS:
        unit, epoch = EPOCHS[date_format]
        # Programs whose whole numbers know no gaps write 1704096000000.0.
        count = (values.cast(pl.Float64, strict=False) + epoch) * unit
        parsed = count.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
    elif not TIME_DIRECTIVES.search(date_format):
        parsed = values.str.to_date(date_format, strict=False)
    else:
        if HOUR.search(date_format) and not MINUTE.search(date_format):
            # The engine takes no hour without a minute, which files by the hour write: `2024-01-31 17`, `5 PM`.
            values, date_format = values + ":00", date_format + ":%M"
        parsed = values.str.to_datetime(date_format, time_unit="us", strict=False)
    in_range = parsed.dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    return parsed.to_frame("d").select(pl.when(in_range).then("d")).to_series().alias(values.name)


def _without_zone(values: pl.Series, date_format: str) -> tuple[pl.Series, str]:
    if "%#z" not in date_format:
        return values, date_format
    zoned = rf"(:\d{{2}}(?:\.\d+)?(?: ?[AaPp][Mm])?) ?{ZONE}(\s|$)"
    return values.str.replace(zoned, "$1$2"), re.sub(r" ?%#z", "", date_format)


def _whole_day(values: pl.Series, date_format: str) -> tuple[pl.Series, str]:
    """Text and format of weeks and months with the day that they lack."""
    if date_format in EPOCHS:
        return values, date_format
    if is_week(date_format) and not re.search(r"%[uaA]", date_format):
        return values + " 1", f"{date_format} %u"
    if re.search(r"%[deFDjV]", date_format):
        return values, date_format
    return "1 " + values, f"%d {date_format}"


def in_common_era(values: pl.Series) -> pl.Series:
    """Text whose years are all counted from the Buddha's death, as Thailand writes them, with those of the common era.

    543 less: 2567 is 2024. Text in which any year is another stays as it is. The days need no change, but 29 February does: only
    the year of the common era says whether there is one.
    """
    years = values.drop_nulls().str.extract(BUDDHIST)
    if years.null_count() or values.n_unique() < FEWEST_DAYS:  # one date said again and again stands for something else
        return values
    written = sorted(set(years))
    return values.str.replace_many(written, [str(int(year) - BUDDHA_TO_CHRIST) for year in written])


def epoch_format(values: pl.Series) -> str | None:
    """The format of text that counts milliseconds or seconds since 1970, or Excel's days, by its digits; else None."""
    shapes = {"epoch_ms": r"^1\d{12}(\.\d+)?$", "epoch_s": r"^1\d{9}(\.\d+)?$", "excel": r"^[2-7]\d{4}(\.\d+)?$"}
    for name, pattern in shapes.items():
        if len(values.drop_nulls()) and bool(values.drop_nulls().str.contains(pattern).all()):
            return name
    return None


def without_midnights(dates: pl.Series) -> pl.Series:
    """Date instead of Datetime when every time of day is midnight, as exports of plain dates often have it."""
    if dates.dtype == pl.Date or not bool((dates.dt.truncate("1d") == dates).all()):
        return dates
    return dates.cast(pl.Date)
