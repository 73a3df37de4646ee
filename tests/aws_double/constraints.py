"""Checks of a request's parameters against botocore's model: types and required members, and also what botocore's own check
leaves to the service: enums, patterns, and greatest lengths and numbers."""

import re
from collections.abc import Iterator
from typing import Any

from botocore.validate import ParamValidator


def violations(parameters: Any, shape: Any) -> str | None:
    """What botocore's model, a `Shape`, refuses, one violation after the other; None when it allows the parameters."""
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        return report.generate_report()
    found = list(_constraints(parameters, shape, shape.name))
    if not found:
        return None
    plural = "s" if len(found) > 1 else ""
    return f"{len(found)} validation error{plural} detected: {'; '.join(found)}"


def _constraints(value: Any, shape: Any, where: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, member in (value or {}).items():
            if member is not None:
                yield from _constraints(member, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        yield from _size(len(value), shape, where)
        for index, member in enumerate(value):
            yield from _constraints(member, shape.member, f"{where}[{index}]")
    elif shape.type_name == "map":
        yield from _size(len(value), shape, where)
        for key, member in value.items():
            yield from _constraints(key, shape.key, f"{where}.{key} (key)")
            yield from _constraints(member, shape.value, f"{where}.{key}")
    elif isinstance(value, str) and shape.type_name == "string":
        yield from _text(value, shape, where)
    elif isinstance(value, int | float) and shape.type_name in ("integer", "long", "float", "double"):
        yield from _size(value, shape, where)


def _size(value: float, shape: Any, where: str) -> Iterator[str]:
    if value > shape.metadata.get("max", float("inf")) or value < shape.metadata.get("min", float("-inf")):
        limits = f"between {shape.metadata.get('min', 'any')} and {shape.metadata.get('max', 'any')}"
        yield f"Value {value!r} at '{where}' failed to satisfy constraint: Member must be {limits}"


def _text(value: str, shape: Any, where: str) -> Iterator[str]:
    failed = f"Value '{value}' at '{where}' failed to satisfy constraint"
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield f"{failed}: Member must satisfy enum value set: [{', '.join(allowed)}]"
    if not shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", float("inf")):
        yield f"{failed}: Member must have length between {shape.metadata.get('min', 0)} and {shape.metadata.get('max')}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield f"{failed}: Member must satisfy regular expression pattern: {pattern}"


def _matches(pattern: str, value: str) -> bool:
    # The patterns are Java's, and few of them are no regular expressions of Python's: those are not checked.
    try:
        compiled = re.compile(pattern)
    except re.error:
        return True
    return compiled.fullmatch(value) is not None
