"""Requests to a served model: JSON of items in, a table with the columns of training out, or what is wrong and where.

What belongs here: reading and checking a request's body. What does not: the model (`model`), and who serves it
(`serving`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from optiflow.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_TYPE = "application/json"
MAX_INSTANCES = 10_000
TEXTS = ("description", "category", "brand")
FIELDS = ("price", *TEXTS, "created")
_FORM = '{"instances": [{"price": 89.5, "description": "…", "category": "…", "brand": "…", "created": "2016-07-01"}]}'
_LARGEST_PRICE = 1e12


@dataclass(frozen=True)
class Request:
    """Items to score, one a row of `items` (`price`, `description`, `category`, `brand`, `created`).

    `retailer` is whose model the caller wants, where the body says so.
    """

    items: "pa.Table"
    retailer: str | None


def read_request(body: bytes | str, content_type: str | None) -> Request:
    """Read `{"instances": [{"price": …, "description": …, "category": …, "brand": …, "created": …}, …]}`.

    `retailer` may stand beside `instances`. Description, category and brand may be null or left out.

    Raises:
        UserError: another content type, no such JSON, or a value that cannot be used; names the instance (from 0) and
            the field.
    """
    kind = (content_type or CONTENT_TYPE).split(";")[0].strip().lower()
    if kind != CONTENT_TYPE:
        raise UserError(f"content type {kind!r} is not read here: send {CONTENT_TYPE}.")
    try:
        said = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is one too
        raise UserError(f"the request is not JSON ({error}): send {_FORM}.") from error
    instances = said.get("instances") if isinstance(said, dict) else None
    if not isinstance(instances, list) or not instances:
        raise UserError(f"the request has no instances: send {_FORM}.")
    if len(instances) > MAX_INSTANCES:
        raise UserError(f"the request has {len(instances)} instances: send at most {MAX_INSTANCES} at once.")
    retailer = said.get("retailer")
    if retailer is not None and not isinstance(retailer, str):
        raise UserError(f"retailer is {_quoted(retailer)}: send the retailer's name as text.")
    return Request(_table([_item(number, instance) for number, instance in enumerate(instances)]), retailer)


def _item(number: int, instance: Any) -> dict[str, Any]:
    where = f"instance {number}"
    if not isinstance(instance, Mapping):
        raise UserError(f"{where} is {_quoted(instance)}: send an object with {', '.join(FIELDS)}.")
    unknown = [name for name in instance if name not in FIELDS]
    if unknown:
        raise UserError(f"{where}, field {unknown[0]!r} is not known: the fields are {', '.join(FIELDS)}.")
    price = instance.get("price")
    if isinstance(price, bool) or not isinstance(price, int | float) or not 0 < price <= _LARGEST_PRICE:
        raise UserError(f"{where}, field 'price' is {_quoted(price)}: send a number above 0.")
    for name in TEXTS:
        if not isinstance(instance.get(name), str | None):
            raise UserError(f"{where}, field {name!r} is {_quoted(instance[name])}: send text or null.")
    texts = {name: (instance.get(name) or "").strip() or None for name in TEXTS}
    return {"price": float(price), **texts, "created": _day(where, instance.get("created"))}


def _day(where: str, value: Any) -> date:
    try:
        if isinstance(value, str) and len(value) == len("2016-07-01"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise UserError(f"{where}, field 'created' is {_quoted(value)}: send a date such as 2016-07-01.")


def _table(items: list[dict[str, Any]]) -> "pa.Table":
    import pyarrow as pa

    texts = [(name, pa.string()) for name in TEXTS]
    schema = pa.schema([("price", pa.float64()), *texts, ("created", pa.date32())])
    return pa.Table.from_pylist(items, schema=schema)


def _quoted(value: Any) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"
