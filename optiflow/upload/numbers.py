"""Numbers written for people: thousands separators, currency, percent, brackets for negatives.

What belongs here: turning a column of text into numbers under one style, and telling which style a column shows. What
does not: deciding which columns become numbers, and what happens to cells that do not.
"""

from enum import StrEnum

import polars as pl

CODES = "USD|EUR|GBP|JPY|CNY|INR|CHF|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|TRY|RUB|KRW"
SIGN = rf"(?:(?:US|R|A|C)?\$|[€£¥₹]|(?:{CODES}|Rs\.?|kr|zł))"
COMMA_CURRENCY = r"^[-+(]?\s*(?:US|C|A)?[$£¥₹]"
SPACERS = r"\s'\x{2019}"
"""Spaces of any width, and both apostrophes (the regex engine reads the escape)."""
MAX_INTEGER_DIGITS = 18
SAMPLE = 1000


class NumberStyle(StrEnum):
    """What the comma and the dot mean; spaces and apostrophes group digits in both."""

    COMMA_GROUPS = "1,234.5"
    DOT_GROUPS = "1.234,5"

    @property
    def group(self) -> str:
        """The sign between groups of three digits."""
        return self.value[1]

    @property
    def point(self) -> str:
        """The decimal sign."""
        return self.value[5]

    @classmethod
    def of(cls, decimal: str) -> "NumberStyle":
        """The style with this decimal sign."""
        return next(style for style in cls if style.point == decimal)


def number_of(text: pl.Expr, style: NumberStyle) -> pl.Expr:
    """A number's text in plain ASCII (`-1234.5`), null where the text is no number in this style.

    `12 %` is `12%`: `to_float` divides it by 100. `(5)` and `5-` are -5. Commas may group as in India, `2,07,588`. No group
    begins with 0: in `0,500` the comma is the decimal sign.
    """
    group, point = style.group, style.point
    bare = (
        text.str.replace_all("[\u2212\u2013]", "-")
        .str.replace(rf"(?i)^([+-]?)\s*{SIGN}\s*", "$1")
        .str.replace(r"^\(\s*([^()-]*?)\s*\)$", "-$1")
        .str.replace(rf"(?i)^(-?)\s*{SIGN}\s*", "$1")
        .str.replace(rf"(?i)\s*{SIGN}$", "")
        .str.replace(r"^([^+-].*)-$", "-$1")
    )
    indian = r"|[1-9]\d?(?:,\d{2})+,\d{3}" if group == "," else ""
    whole = rf"(?:[1-9]\d{{0,2}}(?:[{group}{SPACERS}]\d{{3}})+{indian}|\d+)"
    pattern = rf"^[+-]?\s*(?:{whole}(?:[{point}]\d*)?|[{point}]\d+)(?:[eE][+-]?\d{{1,3}})?\s*%?$"
    plain = bare.str.replace_all(rf"[{group}{SPACERS}]", "").str.replace(point, ".", literal=True)
    return pl.when(bare.str.contains(pattern)).then(plain)


def to_float(plain: pl.Expr) -> pl.Expr:
    """Float64 of `number_of`'s text; percent as a fraction of 1."""
    value = plain.str.strip_chars_end("%").cast(pl.Float64, strict=False)
    return pl.when(plain.str.ends_with("%")).then(value / 100).otherwise(value)


def style_of(values: pl.Series) -> tuple[NumberStyle | None, str | None]:
    """The style that a column shows; where it shows none, a value that both styles read, but as different numbers.

    A value that only one style reads shows it. Where no value does, each separated one has three digits after its only
    sign. A dollar sign is written before commas that group. Whole numbers beside tell too: where 1500 stands without a sign,
    signs do not group; where 15 stands without decimals, signs are no decimal signs.
    """
    present = values.drop_nulls()
    example = None
    for part in (_sample(present), present):
        distinct = part.filter(part.str.contains(r"[.,]")).unique(maintain_order=True)
        comma, dot = (_read(distinct, style) for style in NumberStyle)
        votes = int((comma.is_not_null() & dot.is_null()).sum()) - int((dot.is_not_null() & comma.is_null()).sum())
        if votes:
            return (NumberStyle.COMMA_GROUPS if votes > 0 else NumberStyle.DOT_GROUPS), None
        open_values = distinct.filter((comma != dot).fill_null(False))
        example = open_values[0] if len(open_values) else None
        if example is None and len(part) == len(present):
            return None, None
    if example is None:
        return None, None
    if present.str.contains(COMMA_CURRENCY).any():
        return NumberStyle.COMMA_GROUPS, None
    sign = "," if "," in example else "."
    if present.str.contains(r"^[+-]?\d{4,}-?$").any():
        return NumberStyle.of(sign), None
    if present.str.contains(r"^[+-]?[1-9]\d{0,2}-?$").any():
        return next(style for style in NumberStyle if style.group == sign), None
    return None, example


def number_share(values: pl.Series) -> float:
    """The part of a sample of the non-null values that is a number in one of the styles; 0 for an empty column."""
    sample = _sample(values)
    # Most columns are plain numbers or hold no digit; patterns take most of the time of a wide table.
    if len(sample) == 0 or not sample.str.contains(r"\d").any():
        return 0.0
    number = sample.cast(pl.Float64, strict=False)
    if number.null_count() == 0 and bool(number.is_finite().all()):
        return 1.0
    return max((_readable(sample, style).mean() or 0.0) for style in NumberStyle)  # pyright: ignore


def parse_numbers(values: pl.Series, file_style: NumberStyle) -> pl.Series:
    """Text as Int64 if every number of it is whole, else Float64; null where the text is no number.

    The style is the one under which more values are numbers; `file_style` if the two are equal.
    """
    if file_style is NumberStyle.COMMA_GROUPS and (number := _plain(values)) is not None:
        return number
    plain = _numbers_of(values, file_style)
    if plain.null_count() > values.null_count():
        other = next(style for style in NumberStyle if style is not file_style)
        plain = min(plain, _numbers_of(values, other), key=pl.Series.null_count)
    whole = plain.cast(pl.Int64, strict=False)
    if whole.null_count() == plain.null_count():
        return whole
    return plain.to_frame("plain").select(to_float(pl.col("plain"))).to_series().alias(values.name)


def is_code(values: pl.Series) -> bool:
    """Whether whole numbers of the column are codes: a leading zero, or more digits than an Int64 holds."""
    code = rf"^[+-]?(?:0\d+|\d{{{MAX_INTEGER_DIGITS + 1},}})$"
    return bool(values.str.contains(code).any())


def has_code_like(values: pl.Series) -> bool:
    """Whether a value mixes digits and letters, as an article or invoice number does (`C536379`)."""
    return bool((values.str.contains(r"\d") & values.str.contains(r"\p{L}")).any())


def _plain(values: pl.Series) -> pl.Series | None:
    """The whole column by plain casts, or None if a value resists."""
    nulls = values.null_count()
    whole = values.cast(pl.Int64, strict=False)
    if whole.null_count() == nulls:
        return whole
    number = values.cast(pl.Float64, strict=False)
    return number if number.null_count() == nulls and bool(number.is_finite().all()) else None


def _numbers_of(values: pl.Series, style: NumberStyle) -> pl.Series:
    """`number_of` of a whole column, with the long way taken only by the values that need it."""
    group, point = style.group, style.point
    easy = rf"^-?(?:[1-9]\d{{0,2}}(?:[{group}]\d{{3}})+|\d+)(?:[{point}]\d+)?$"
    text = pl.col("text")
    bare = text.str.replace_all(group, "", literal=True).str.replace(point, ".", literal=True)
    table = values.to_frame("text").with_columns(plain=pl.when(text.str.contains(easy)).then(bare))
    hard = table.filter(pl.col("plain").is_null() & text.is_not_null()).select(text.unique())
    if hard.height:
        read = hard.with_columns(read=number_of(text, style))
        table = table.join(read, on="text", how="left", maintain_order="left").with_columns(
            plain=pl.coalesce("plain", "read")
        )
    return table["plain"].alias(values.name)


def _sample(values: pl.Series) -> pl.Series:
    values = values.drop_nulls()
    return values.gather_every(max(1, len(values) // SAMPLE)).head(SAMPLE)


def _read(distinct: pl.Series, style: NumberStyle) -> pl.Series:
    return distinct.to_frame("text").select(to_float(number_of(pl.col("text"), style))).to_series()


def _readable(sample: pl.Series, style: NumberStyle) -> pl.Series:
    return sample.to_frame("text").select(number_of(pl.col("text"), style).is_not_null()).to_series()
