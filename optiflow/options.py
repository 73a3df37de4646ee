"""What a user may set for one dataset: the `<file>.options.yaml` beside an upload, the CLI's flags, run config.

The three are merged over the pipeline's defaults into one `DatasetOptions`, which the catalog stores as data.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optiflow.errors import UserError
from optiflow.spans import Span

HORIZON = "horizon"
ADDED_LATER = ("columns", "duplicates", HORIZON)
"""Options that the first digests knew nothing of: at their defaults they are left out, so that revisions stay as they are."""

NOT_OF_THE_ROWS = ("retrain_every",)
"""Options that say when something is done, not what: they are in no digest, so that another pace is no other revision."""

SeriesId = Annotated[str, Field(pattern=r"^[A-Z0-9_]{1,40}$")]


class SplitOptions(BaseModel):
    """How rows are held out: `time` keeps the last `test_fraction` by date, `random` draws it with `seed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["time", "random"] = "time"
    test_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    seed: int = Field(default=42, ge=0)


class DatasetOptions(BaseModel):
    """All options of one dataset; every field has a default but those the file itself must answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str | None = None
    date_column: str | None = None
    date_format: str | None = None
    """strptime format of the date column, for files whose day and month cannot be told apart."""
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


def parse_options_file(text: str, file_name: str) -> dict[str, Any]:
    """The mapping that an options file holds, not yet validated.

    Raises:
        UserError: it is not YAML, or not a mapping.
    """
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date, but is none
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise UserError(f"{file_name}{line}: not valid YAML. Write one `key: value` a line.") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UserError(f"{file_name}: expected `key: value` lines, found a {type(data).__name__}.")
    return data


def merge_options(*layers: Mapping[str, Any], where: str = "options") -> DatasetOptions:
    """Lay the mappings over one another, later ones win (`split`, `hyperparameters` and `columns` key by key), and validate.

    Raises:
        UserError: an unknown key or a value out of range; names the key and `where`.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if (
                key in ("split", "hyperparameters", "columns")
                and isinstance(value, Mapping)
                and isinstance(merged.get(key), Mapping)
            ):
                merged[key] = {**merged[key], **value}
            else:
                merged[key] = value
    try:
        return DatasetOptions.model_validate(merged)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(_say(e) for e in error.errors())) from error


def _say(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = SplitOptions.model_fields if path.startswith("split.") else DatasetOptions.model_fields
        close = get_close_matches(path.split(".")[-1], known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"unknown key {path!r}.{hint} Known keys: {', '.join(known)}"
    if error["type"] == "string_pattern_mismatch":
        given = str(error["input"])
        hint = f" Did you mean {given.upper()!r}?" if re.fullmatch(r"\w{1,40}", given) else ""
        return f"{path!r} is {given!r}, which is not a FRED series id such as CPIAUCSL.{hint}"
    return f"{path!r} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"
