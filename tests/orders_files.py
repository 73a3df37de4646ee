"""Orders files as people have them: a sound one, and one for each thing that can be wrong with it."""

import gzip
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from optiflow.pipelines.orders import sample as samples

SOUND = samples.orders(rows=240, seed=11, bad_rows=False)
OPTIONS: dict[str, Any] = {
    "target": "quantity",
    "date_column": "order_date",
    "fred_series": ["UNRATE"],
    "hyperparameters": {"num_round": 20, "eta": 0.3},
}


def csv(table: pl.DataFrame = SOUND) -> bytes:
    """The table as a file."""
    return table.write_csv().encode()


def cut_off(data: bytes) -> bytes:
    """What arrives when a copy breaks off."""
    return gzip.compress(data)[:-200]


def mixed(data: bytes) -> bytes:
    """The last lines as another program would have appended them."""
    lines = data.decode().splitlines()
    return "\n".join([*lines[:-3], *(line.replace(",", ";") for line in lines[-3:])]).encode()


def dates(form: str) -> bytes:
    """The sound file with its dates written in another way."""
    return csv(SOUND.with_columns(pl.col("order_date").str.to_date().dt.strftime(form)))


def without(*names: str) -> dict[str, Any]:
    """The options without some of them."""
    return {name: value for name, value in OPTIONS.items() if name not in names}


@dataclass(frozen=True)
class Bad:
    """A file that is refused, the words that the person must see, and what mends it (the sound file if nothing else)."""

    data: bytes
    words: tuple[str, ...]
    name: str = "orders.csv"
    options: dict[str, Any] = field(default_factory=lambda: OPTIONS)
    mended: bytes | None = None
    mended_options: dict[str, Any] = field(default_factory=lambda: OPTIONS)


EARLY = SOUND.with_columns(
    pl.date(2015, 1, 1)
    .dt.offset_by(pl.format("{}d", pl.int_range(pl.len()) % 12))
    .dt.strftime("%m/%d/%Y")
    .alias("order_date")
)
BAD: dict[str, Bad] = {
    "unknown date format": Bad(dates("day %j of %Y"), ("order_date", "day ", "date_format")),
    "ambiguous date format": Bad(
        csv(EARLY),
        ("order_date", "%d/%m/%Y", "%m/%d/%Y", "date_format"),
        mended=csv(EARLY),
        mended_options={**OPTIONS, "date_format": "%m/%d/%Y"},
    ),
    "missing target": Bad(
        csv(),
        ("no target is set", "'unit_price', 'discount', 'quantity'"),
        options=without("target"),
    ),
    "non-numeric target": Bad(
        csv(), ("target 'product' is not numeric", "'quantity'"), options={**OPTIONS, "target": "product"}
    ),
    "empty file": Bad(b"\n\n", ("orders.csv", "empty")),
    "0 bytes": Bad(b"", ("orders.csv", "empty (0 bytes)")),
    "header only": Bad(csv(SOUND.head(0)), ("has a header but no data row",)),
    "duplicate columns": Bad(
        csv().replace(b"product,category", b"product,product", 1), ("duplicate column names 'product'", "Rename")
    ),
    "mixed delimiters": Bad(mixed(csv()), ("mixed delimiters", "',' in the header", "';' in lines 239, 240, 241")),
    "truncated gz": Bad(cut_off(csv()), ("cut off before its end",), name="orders.csv.gz", mended=gzip.compress(csv())),
    "unknown option": Bad(
        csv(),
        ("orders.csv.options.yaml", "unknown key 'tagret'", "'target'"),
        options={**OPTIONS, "tagret": "quantity"},
    ),
    "unknown series": Bad(
        csv(), ("NOSUCHSERIES", "FRED_API_KEY"), options={**OPTIONS, "fred_series": ["NOSUCHSERIES"]}
    ),
    "too few rows": Bad(csv(SOUND.head(19)), ("only 19 usable rows of 19", "at least 20")),
    "constant target": Bad(csv(SOUND.with_columns(quantity=7)), ("target 'quantity' is 7 in every row",)),
}
ALSO_BAD: dict[str, Bad] = {
    "no options at all": Bad(csv(), ("no target is set", "--target quantity --date-column order_date"), options={}),
    "target that is no column": Bad(
        csv(), ("'qantity' is not a column", "Did you mean 'quantity'?"), options={**OPTIONS, "target": "qantity"}
    ),
    "gz that is none": Bad(csv(), ("not gzip-compressed",), name="orders.csv.gz", mended=gzip.compress(csv())),
    "option out of range": Bad(
        csv(), ("split.test_fraction", "1.5"), options={**OPTIONS, "split": {"test_fraction": 1.5}}
    ),
    "unknown hyperparameter": Bad(csv(), ("num_trees",), options={**OPTIONS, "hyperparameters": {"num_trees": 5}}),
    "too many bad rows": Bad(
        csv(SOUND.with_columns(quantity=pl.when(pl.int_range(pl.len()) % 10 > 0).then("quantity"))),
        ("24 of 240 rows (10.0%) have faults", "max_rejected_fraction", "row 2"),
    ),
    "a picture": Bad(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, ("orders.csv", "not text")),
}
