"""Versions of assets' code, which Dagster sets beside what was materialized: which code an asset is made with.

What belongs here: which of our files make an asset. What does not: what decides the result of a job (`resources.jobs`).
"""

import hashlib
from functools import cache
from pathlib import Path

import optiflow
from optiflow.pipelines.spec import Pipeline
from resources.jobs.job_code import code_digest

PACKAGE = Path(optiflow.__file__).parent
LENGTH = 12

UPLOAD = ("upload", "roles.py", "options.py", "plain_yaml.py", "read_limits.py", "column_names.py")
ENRICHED = ("fred",)
SPLIT = ("split.py",)
RESULT = ("pipelines/naming.py",)
REPORT = ("report", "metrics.py", "baselines.py")


def code_version(pipeline: Pipeline, *parts: str, job: bool = False) -> str:
    """A digest of the code that makes an asset of the pipeline: its room, these parts of `optiflow`, and what its jobs run."""
    rooms = (f"pipelines/{room}" for room in (pipeline.name, *pipeline.rooms))
    learner = code_digest(pipeline.algorithm) if job else ""
    texts = (*map(digest_of, (*rooms, "pipelines/spec.py", *parts)), learner)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:LENGTH]


@cache
def digest_of(part: str) -> str:
    """A digest of a module or package of `optiflow`, by its path."""
    digest, path = hashlib.sha256(), PACKAGE / part
    if not path.exists():
        path = path.with_suffix(".py")  # a room that is one module
    for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        digest.update(f"{module.relative_to(PACKAGE).as_posix()}\0".encode())
        digest.update(module.read_bytes())
    return digest.hexdigest()[:LENGTH]
