"""YAML as people write options: short, flat, without references; names of columns stay as they are written.

What belongs here: reading the text. What does not: which options there are (`optiflow.options`).
"""

import re
from collections.abc import Callable
from typing import Any

import yaml

from optiflow.errors import UserError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
NOTHING = "tag:yaml.org,2002:null"
TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null"))

IsText = Callable[[tuple[str, ...]], bool]
"""Whether what lies at a path of keys is text, however much it looks like a number."""


class _Loader(yaml.SafeLoader):
    """Without dates, `yes` and `on`: a column may be named No, and 2014-99-99 is no date that anybody meant."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag.rpartition(":")[2] not in ("timestamp", "bool", "merge")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str, name: str, is_text: IsText = lambda _: False) -> Any:
    """What a YAML document holds: mappings, lists, text, numbers, booleans and None.

    Args:
        text: The document.
        name: What messages call it.
        is_text: What is text anyway; nothing, if not given.

    Raises:
        UserError: it is too long, nested too deep, not YAML, or has references, tags or a key twice.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise UserError(
            f"{name}: longer than {MAX_BYTES // 1024} KB, which no options are. Write one `key: value` a line."
        )
    try:
        _check_events(text, name)
        root = yaml.compose(text, Loader=_Loader)
        return None if root is None else _value(root, (), name, is_text)
    except yaml.YAMLError as error:
        raise _not_yaml(name, getattr(error, "problem_mark", None)) from error


def _check_events(text: str, name: str) -> None:
    # Before anything is built: references multiply what they stand for, and depth costs the stack.
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise UserError(
                f"{name}{_line(event.start_mark)}: references (& and *) are not read. Write the value out, or put it in quotes."
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UserError(
                f"{name}{_line(event.start_mark)}: nested more than {MAX_DEPTH} deep. Write one `key: value` a line."
            )


def _value(node: yaml.Node, path: tuple[str, ...], name: str, is_text: IsText) -> Any:
    if node.tag not in TAGS:
        raise _not_yaml(name, node.start_mark)
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node, True, name)
            if key in found:
                raise UserError(
                    f"{name}{_line(key_node.start_mark)}: {str(key)[:40]!r} is there twice. Keep one of them."
                )
            found[key] = _value(value_node, (*path, key), name, is_text)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, path, name, is_text) for item in node.value]
    return _scalar(node, is_text(path), name)


def _scalar(node: yaml.Node, as_text: bool, name: str) -> Any:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in TAGS:
        raise _not_yaml(name, node.start_mark)
    if as_text and node.tag != NOTHING:
        return node.value
    loader = _Loader("")
    try:
        return loader.construct_object(node)
    except ValueError as error:  # a number of thousands of digits, or 1:99:99
        raise UserError(
            f"{name}{_line(node.start_mark)}: {node.value[:40]!r} is no number. Put it in quotes if it is text."
        ) from error
    finally:
        loader.dispose()


def _not_yaml(name: str, mark: Any) -> UserError:
    return UserError(f"{name}{_line(mark)}: not valid YAML. Write one `key: value` a line.")


def _line(mark: Any) -> str:
    return f", line {mark.line + 1}" if mark is not None else ""
