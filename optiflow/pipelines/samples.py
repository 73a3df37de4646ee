"""Samples: seeded generators, one in each pipeline's room, whose numbers have known causes.

What belongs here: where a sample comes from, and writing it as an upload. What does not: any knowledge of how an upload
is read or a model is trained; samples go through the same door as a user's own files.
"""

import uuid
from importlib import import_module
from pathlib import Path

import yaml

from optiflow.dataset_id import OPTIONS_SUFFIX


def write_sample(pipeline: str, folder: Path) -> Path:
    """Write a pipeline's sample as an upload, with its options file beside it where it needs one.

    The options are put in place first, so that whoever sees the table sees its options too.

    Returns:
        The path of the table.
    """
    sample = import_module(f"optiflow.pipelines.{pipeline}.sample")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / sample.FILE_NAME
    if sample.SAMPLE_OPTIONS:
        text = yaml.safe_dump(sample.SAMPLE_OPTIONS, sort_keys=False)
        _put_in_place(folder / f"{sample.FILE_NAME}{OPTIONS_SUFFIX}", text.encode())
    _put_in_place(target, getattr(sample, pipeline)().write_csv().encode())
    return target


def _put_in_place(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".tmp-{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
