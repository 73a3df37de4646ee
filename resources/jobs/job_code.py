"""What of our code, and of the libraries under it, decides the result of a job: part of the job's name.

What belongs here: telling whether a job would do the same again. What does not: sending the code along (`source`).
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import optiflow
from resources.jobs.source import PACKED

PACKAGE = Path(optiflow.__file__).parent
NOT_IN_JOBS = ("container/serving.py",)
"""Runs in endpoints alone."""
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""What is installed under another name than it is imported by."""


@cache
def code_digest(algorithm: str, package: Path = PACKAGE) -> str:
    """sha256 hex of the files that run in a job of this learner: container, what learners share, and its own package.

    Other learners' packages are not among them, so that an edited learner costs no training of another. Read once a
    process.

    Args:
        algorithm: `xgboost`, or the name of a learner of ours.
        package: The folder of `optiflow`.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(algorithm, package)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def library_versions(algorithm: str, package: Path = PACKAGE) -> tuple[str, ...]:
    """`name version` of each installed library that the code of `code_digest` imports: another one may train otherwise."""
    imported = {name for path in _files(algorithm, package) for name in _imports(path)}
    found = []
    for name in sorted(DISTRIBUTIONS.get(name, name) for name in imported):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # the standard library, ourselves, or what only AWS's image has
            continue
    return tuple(found)


def _files(algorithm: str, package: Path) -> Iterator[Path]:
    for name in PACKED:
        path = package / name
        for module in path.rglob("*.py") if path.is_dir() else [path]:
            within = module.relative_to(package)
            is_others = within.parts[0] == "learners" and len(within.parts) > 2 and within.parts[1] != algorithm
            if not is_others and within.as_posix() not in NOT_IN_JOBS:
                yield module


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
