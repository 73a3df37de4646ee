"""The options file that lies beside a table on this machine.

What does not belong here: what options there are (`optiflow.options`), and those in a landing folder (`resources.landing`).
"""

from pathlib import Path
from typing import Any

from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow.errors import UserError
from optiflow.options import parse_options_file
from optiflow.plain_yaml import MAX_BYTES

NEAR_MISSES = (".options.yml", ".options.json", ".option.yaml", ".yaml", ".yml")
"""Names beside a file that are meant for its options, and would be passed over."""


def read_options_beside(source: Path) -> tuple[dict[str, Any], str]:
    """What the options file beside a table says, empty if there is none; and what messages call it.

    Raises:
        UserError: it is too long, not UTF-8 text or not YAML, or a file has nearly its name.
    """
    beside = source.with_name(source.name + OPTIONS_SUFFIX)
    if not beside.is_file():
        for suffix in NEAR_MISSES:
            other = source.with_name(source.name + suffix)
            if other.is_file():
                raise UserError(
                    f"{other.name} lies beside {source.name}: if it holds options, rename it to {beside.name}."
                )
        return {}, "options"
    with beside.open("rb") as file:
        return parse_options_file(file.read(MAX_BYTES + 1), beside.name), beside.name
