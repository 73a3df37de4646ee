"""`sources.yaml`: where rows come from, how they are paged, how far they were read, what their fields are called."""

import os
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from optiflow.dataset_id import check_dataset_id
from optiflow.errors import UserError
from optiflow.options import parse_options_file
from optiflow.pipelines import PIPELINES
from optiflow.spans import Span, seconds

SHORTEST_PACE_SECONDS = 60


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paging(_Part):
    """How the next page is asked for.

    `none`: all rows come at once. `page`, `offset`: `parameter` counts pages or rows, until one has no rows. `cursor`: the
    answer has a mark at `next` that `parameter` takes. `next`: the answer has the next address at `next`. `link`: it is in
    the header `Link`, as RFC 8288 says.
    """

    style: Literal["none", "page", "offset", "cursor", "next", "link"] = "none"
    parameter: str | None = None
    next: str | None = None
    first: int = Field(default=1, ge=0)
    size: int | None = Field(default=None, ge=1, le=100_000)
    size_parameter: str | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> "Paging":
        if self.style in ("page", "offset", "cursor") and self.parameter is None:
            raise ValueError(f"style {self.style} needs the name of its parameter: write parameter: {self.style}")
        if self.style in ("next", "cursor") and self.next is None:
            raise ValueError(
                f"style {self.style} needs the place of the next one in the answer, such as next: meta.next"
            )
        if self.style == "offset" and self.size is None:
            raise ValueError("style offset needs the size of a page, such as size: 500")
        return self


class Incremental(_Part):
    """How far was read: the field that grows, and the parameter that asks for what is not older.

    `overlap` is how late an older row may still appear, for times: a booking that was begun first may be written last.
    """

    field: str
    parameter: str
    start: str | int | None = None
    overlap: Span = "10min"


class Variable(_Part):
    """The environment variable that holds a value which must be in no file, such as a key."""

    variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

    @property
    def value(self) -> str:
        """What is in it; empty if it is not set."""
        return os.environ.get(self.variable, "").strip()


class Source(_Part):
    """One API and the dataset that its rows go to. Fields are named by their path: `item.code` is `code` in `item`."""

    name: str
    pipeline: str
    dataset: str
    url: str
    token: Annotated[str | None, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = None
    """The environment variable that holds the bearer token; never the token itself."""
    parameters: dict[str, str | int | float | bool | Variable] = {}
    """Sent with each question; a key that must be in no file by the name of its variable: `{variable: ERP_KEY}`."""
    records: str = ""
    """Where the rows are in the answer; empty if the answer is the list itself."""
    paging: Paging = Paging()
    incremental: Incremental | None = None
    key: str | None = None
    """The field that tells rows apart; the whole row if there is none."""
    columns: dict[str, str] = {}
    """Column of the file -> field; all plain fields under their own names if empty."""
    optional: tuple[str, ...] = ()
    """Fields that may be missing in all rows of an answer."""
    every: Span = "1d"
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "00:00"
    """The time of day, UTC, from which `every` counts."""

    @field_validator("pipeline")
    @classmethod
    def _is_pipeline(cls, value: str) -> str:
        if value not in PIPELINES:
            raise ValueError(f"there is no such pipeline: use {', '.join(PIPELINES)}")
        return value

    @field_validator("dataset", "name")
    @classmethod
    def _is_dataset(cls, value: str) -> str:
        try:
            return check_dataset_id(value)
        except UserError as error:
            raise ValueError(str(error).rstrip(".")) from error

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.password:
            raise ValueError("expected an http:// or https:// address without a name or password in it")
        return value

    @field_validator("every")
    @classmethod
    def _is_pace(cls, value: str) -> str:
        if seconds(value) < SHORTEST_PACE_SECONDS:
            raise ValueError("expected a minute or more")
        return value

    def slot(self, now: float) -> int:
        """The number of the period, `every` long, that a time (seconds since 1970) is in; a pull is due once in each."""
        hours, minutes = self.at.split(":")
        return int((now - int(hours) * 3600 - int(minutes) * 60) // seconds(self.every))


def read_sources(text: str, file_name: str) -> dict[str, Source]:
    """The sources by name.

    Raises:
        UserError: not YAML, or a source is wrong; names it and the key.
    """
    found: dict[str, Source] = {}
    for name, said in parse_options_file(text, file_name).items():
        if not isinstance(said, dict):
            raise UserError(f"{file_name}: {name!r} is no source: write its keys below it, url first.")
        try:
            found[str(name)] = Source.model_validate({"dataset": str(name), **said, "name": str(name)})
        except ValidationError as error:
            faults = "; ".join(dict.fromkeys(_say(fault) for fault in error.errors()))
            raise UserError(f"{file_name}, source {str(name)!r}: {faults}.") from error
    return found


def _say(fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {path!r}. Known keys: {', '.join(n for n in Source.model_fields if n != 'name')}"
    if fault["type"] == "missing":
        return f"key {path!r} is missing"
    if path == "token":
        # A token that was written in place of the variable's name must not be repeated.
        return "token: expected the name of an environment variable, such as ERP_TOKEN"
    if path.startswith("parameters."):
        return f"{'.'.join(path.split('.')[:2])}: expected text, a number, yes or no, or {{variable: ERP_KEY}}"
    message = re.sub("^Value error, ", "", fault["msg"])
    return f"{path}: {message}" if path else message
