"""Install packages with pip and say how far it has come: pip alone prints a thousand lines, or nothing for minutes.

    python deploy/install.py --editable .

Only the standard library: nothing else is there yet. What belongs here: running pip and telling its progress. What does
not: which packages (`pyproject.toml`, `constraints.txt`).
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

EVERY = 25
"""Where no terminal shows a line that is written over, one line for so many packages."""


def steps(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """What is told of pip's output, line by line, and whether it is more than another package of many."""
    found = fetched = 0
    for line in lines:
        words = line.split()
        if line.startswith(("Collecting ", "Obtaining ")):
            found += 1
            yield f"{found} packages found: {re.split(r'[^A-Za-z0-9._-]', words[1])[0]}", found % EVERY == 0
        elif words[:1] == ["Downloading"] and not words[1].endswith(".metadata"):
            fetched += 1
            yield f"{fetched} of {found} packages fetched: {' '.join(words[1:])}", fetched % EVERY == 0
        elif line.startswith("Installing collected packages: "):
            yield f"installing {line.count(',') + 1} packages, which takes the longest …", True
        elif line.startswith("Successfully installed "):
            yield f"{len(words) - 2} packages installed", True


def main(arguments: list[str]) -> int:
    """Run `pip install` with these arguments; its exit code, with all that it said if it failed."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-compile",
        "--progress-bar",
        "off",
    ]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said: list[str] = []
    for told, is_large in steps(said.append(line) or line for line in process.stdout):
        if sys.stdout.isatty():
            print(f"\r\033[K  {told[:100]}", end="\n" if is_large and " of " not in told else "", flush=True)
        elif is_large:
            print(f"  {told}", flush=True)
    code = process.wait()
    if code:
        print("".join(said[-20:]), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
