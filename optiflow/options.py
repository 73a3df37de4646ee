"""What a user may set for one dataset: the `<file>.options.yaml` beside an upload, the CLI's flags, run config.

The three are merged over the pipeline's defaults into one `DatasetOptions`, which the catalog stores as data.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optiflow.errors import UserError
from optiflow.plain_yaml import read_yaml
from optiflow.spans import Span

HORIZON = "horizon"
SHOWN = 60
"""How many characters of a wrong value a message shows."""
ADDED_LATER = (
    *("columns", "duplicates", HORIZON, "decimal", "null_values"),
    *("encoding", "sheet", "header_row", "footer_rows"),
    *("fill_down", "unfinished", "movement_types"),
    *("unit", "currency", "week_date"),
)
"""Options that the first digests knew nothing of: at their defaults they are left out, so that revisions stay as they are."""
TEXTS = (
    "target",
    "date_column",
    "date_format",
    "fred_series",
    "drop_columns",
    "keep_columns",
    "encoding",
    "sheet",
    "decimal",
    "null_values",
    "fill_down",
    "unit",
    "currency",
)
"""Options that are text, or lists of texts."""

NESTED = ("split", "hyperparameters", "columns", "movement_types")

NOT_OF_THE_ROWS = ("retrain_every",)
"""Options that say when something is done, not what: they are in no digest, so that another pace is no other revision."""

SeriesId = Annotated[str, Field(pattern=r"^[A-Z0-9_]{1,40}$")]

Label = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,18}[^\s\x00-\x1f\x7f])?$")]
"""Up to 20 characters for people: no line breaks, no blanks around."""


class SplitOptions(BaseModel):
    """How rows are held out: `time` keeps the last `test_fraction` by date, `random` draws it with `seed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["time", "random"] = "time"
    test_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    seed: int = Field(default=42, ge=0, lt=2**63)


class DatasetOptions(BaseModel):
    """All options of one dataset; every field has a default but those the file itself must answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str | None = None
    date_column: str | None = None
    date_format: str | None = None
    """strptime format of the date column, for files whose day and month cannot be told apart."""
    decimal: Literal[".", ","] | None = None
    """The decimal sign, for files in which `12,000` may be twelve or twelve thousand."""
    null_values: tuple[str, ...] = ()
    """Further words for an empty cell, such as `unsold` or `9999-12-31`."""
    fred_series: tuple[SeriesId, ...] = ()
    split: SplitOptions = SplitOptions()
    hyperparameters: dict[str, str] = {}
    drop_columns: tuple[str, ...] = ()
    keep_columns: tuple[str, ...] = ()
    """Columns to use as features although they look like identifiers, names or free text."""
    max_rejected_fraction: float = Field(default=0.05, ge=0.0, le=1.0)
    columns: dict[str, str] = {}
    """What a file calls a column that the pipeline knows by a name of its own: `sales: Revenue`."""
    duplicates: Literal["refuse", "sum"] = "refuse"
    """What becomes of rows for the same thing and day: all are rejected, or their numbers added up."""
    horizon: int | None = Field(default=None, ge=1, le=1000)
    """How many periods ahead is forecast, and held out to judge it; the pipeline's own choice if None."""
    encoding: str | None = None
    """The code page of a text file, where its bytes do not tell."""
    sheet: tuple[str, ...] = ()
    """The sheets of a workbook that are read, one below the other; the one that holds a table if none is named."""
    header_row: int | None = Field(default=None, ge=1, le=1_000_000)
    """The row of the column names, as a spreadsheet counts; found if None."""
    footer_rows: int = Field(default=0, ge=0, le=1000)
    """How many rows at the end are no data, such as totals and remarks."""

    @field_validator("sheet", mode="before")
    @classmethod
    def _one_sheet_is_a_list(cls, value: Any) -> Any:
        return (str(value),) if isinstance(value, str | int) else value

    @field_validator("encoding")
    @classmethod
    def _is_code_page(cls, value: str | None) -> str | None:
        try:
            "".encode(value or "utf-8")
        except (LookupError, ValueError) as error:
            raise ValueError("not a code page: write one such as cp1250, cp1251, shift_jis or gb18030") from error
        return value

    @field_validator("null_values", mode="before")
    @classmethod
    def _null_values_are_words(cls, value: Any) -> Any:
        # A user writes `null_values: [-999]`, or one word alone.
        return [str(word) for word in ([value] if isinstance(value, str | int | float) else value or ())]

    fill_down: tuple[str, ...] = ()
    """Columns in which an empty cell means what stands above it, as on the further lines of an order."""
    unfinished: Literal["leave_out", "keep"] = "leave_out"
    """What becomes of a first or last week or day that the file holds only a part of."""
    movement_types: dict[str, Literal["in", "out", "adjust", "transfer"]] = {}
    """What a word of the file's own for a type of movement means: `Verschrottung: adjust`."""

    @field_validator("movement_types", mode="before")
    @classmethod
    def _words_are_strings(cls, value: Any) -> Any:
        # A user writes `101: in`, which YAML reads as a number.
        return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else value

    unit: Label | None = None
    """What is counted, as the report is to call it: `pieces`, `kg`."""
    currency: Label | None = None
    """What amounts of money are in, as the report is to write it: `EUR`, `$`."""
    week_date: Literal["begins", "ends"] | None = None
    """Whether the date of a week is its first day or its last; the report says that it does not know if None."""

    retrain_every: Span = "1d"
    """How often, at most, a folder of files that grows is trained on anew: `30min`, `12h`, `1d`, `1w`; `0` at every drop."""

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _hyperparameters_are_strings(cls, value: Any) -> Any:
        # SageMaker takes strings only; a user writes `eta: 0.1`.
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, Mapping) else value

    def digest(self) -> str:
        """sha256 hex of the canonical form: equal options, equal digest, also with a later version's new options."""
        fields = type(self).model_fields
        unset = {name for name in ADDED_LATER if getattr(self, name) == fields[name].default}
        said = self.model_dump(mode="json", exclude=unset.union(NOT_OF_THE_ROWS))
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def is_text(path: tuple[str, ...]) -> bool:
    """Whether an option is a name or another text, whatever it looks like: a column may be named No, or 2024."""
    return bool(path) and (path[0] in TEXTS or (path[0] == "columns" and len(path) > 1))


def parse_options_file(data: str | bytes, file_name: str) -> dict[str, Any]:
    """The mapping that an options file holds, not yet validated.

    Raises:
        UserError: it is not UTF-8, not YAML, or not a mapping.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise UserError(f"{file_name}: not UTF-8 text; save it as UTF-8.") from error
    found = read_yaml(text, file_name, is_text)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UserError(f"{file_name}: expected `key: value` lines, found a {type(found).__name__}.")
    return found


def merge_options(*layers: Mapping[str, Any], where: str = "options") -> DatasetOptions:
    """Lay the mappings over one another, later ones win (those of `NESTED` key by key), and validate.

    Raises:
        UserError: an unknown key or a value out of range; names the key and `where`.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if key in NESTED and isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = {**merged[key], **value}
            else:
                merged[key] = value
    try:
        return DatasetOptions.model_validate(merged)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(_say(e) for e in error.errors())) from error


def _say(error: Any) -> str:
    path = ".".join(str(part)[:SHOWN] for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = SplitOptions.model_fields if path.startswith("split.") else DatasetOptions.model_fields
        close = get_close_matches(path.split(".")[-1], known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"unknown key {path!r}.{hint} Known keys: {', '.join(known)}"
    if error["type"] == "string_pattern_mismatch":
        given = str(error["input"])[:SHOWN]
        if path in ("unit", "currency"):
            return f"{path!r} is {given[:40]!r}, which does not fit behind a figure: write up to 20 characters, such as kg or EUR"
        hint = f" Did you mean {given.upper()!r}?" if re.fullmatch(r"\w{1,40}", given) else ""
        return f"{path!r} is {given!r}, which is not a FRED series id such as CPIAUCSL.{hint}"
    # Cut: the value may be as long as the file.
    shown = repr(error["input"])[:SHOWN]
    message = error["msg"].removeprefix("Value error, ")
    return f"{path!r} is {shown}{'…' if len(shown) == SHOWN else ''}: {message[0].lower()}{message[1:]}"
