"""Errors that options mend: what was wrong, and what to write, as lines of an options file or as flags of a command.

What belongs here: how options are spelt in the two places. What does not: which options would help.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from optiflow.dataset_id import OPTIONS_SUFFIX
from optiflow.errors import UserError

Options = Mapping[str, Any]
FLAGS = {"target": "--target", "date_column": "--date-column", "fred_series": "--series"}
"""Options that `optiflow upload` has a flag of their own for; all others go by `--option`."""


class ProposalError(UserError):
    """Something is wrong with an upload that options would mend.

    As a string it ends with the lines to write into the options file, all of them valid YAML; `as_flags` ends with what to
    add to the command instead.

    Args:
        said: What is wrong and where, in whole sentences.
        file_name: The upload's name.
        ways: The options to write; where there are several, any one of them.
    """

    def __init__(self, said: str, file_name: str, *ways: Options) -> None:
        super().__init__(said, file_name, *ways)
        self.said, self.file_name, self.ways = said.strip(), file_name, ways

    def __str__(self) -> str:
        lines = "\nor\n".join("\n".join(_lines(way)) for way in self.ways)
        return f"{self.said} Write into {options_file(self.file_name)}:\n{lines}"

    def as_flags(self) -> str:
        """The message for whoever has typed `optiflow upload`."""
        # A comma tells the parts of a list apart on the command line.
        if any(
            "," in str(part) for way in self.ways for value in way.values() if isinstance(value, list) for part in value
        ):
            return str(self)
        lines = "\nor\n".join(f"  {' '.join(_flags(way))}" for way in self.ways)
        return f"{self.said} Add to the command:\n{lines}"

    def said_of(self, before: str = "", after: str = "") -> "ProposalError":
        """The same with more words around what was said."""
        return ProposalError(f"{before}{self.said} {after}", self.file_name, *self.ways)


def options_file(file_name: str) -> str:
    """The name of the options file that belongs beside an upload."""
    return PurePosixPath(file_name).name + OPTIONS_SUFFIX


def _lines(options: Options, indent: str = "  ") -> Iterator[str]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            yield indent + option_line(key, value)


def option_line(key: str, value: object) -> str:
    """One option as a line of YAML, also where a name in it has signs that mean something there."""
    if isinstance(value, list):
        return f"{key}: {yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=True).strip()}"
    line = yaml.safe_dump({key: value}, allow_unicode=True, width=10_000).strip()
    plain = isinstance(value, str) and ("'" in line or '"' in line)
    return f"{key}: {json.dumps(value, ensure_ascii=False)}" if plain else line


def _flags(options: Options, path: str = "") -> Iterator[str]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flags(value, f"{path}{key}.")
            continue
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        flag = FLAGS.get(key) if not path else None
        yield f"{flag} {shlex.quote(text)}" if flag else f"--option {shlex.quote(f'{path}{key}={text}')}"
