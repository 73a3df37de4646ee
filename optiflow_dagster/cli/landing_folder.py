"""`optiflow upload` of a folder, or of files into a folder that is there: checked together with what lies there already.

What does not belong here: the upload of a single file (`landing`), and how files become one table (`optiflow.upload.folder`).
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from optiflow.dataset_id import OPTIONS_SUFFIX, check_dataset_id, folder_id
from optiflow.errors import UserError
from optiflow.pipelines.spec import Pipeline
from optiflow.upload.folder import Part, read_folder, told_bad, with_proposals
from optiflow.upload.reading import Upload
from optiflow_dagster.cli.landing import (
    check_series,
    options_as_flags,
    options_for,
    put_options,
    refuse_passed_over,
)
from optiflow_dagster.cli.workplace import Workplace
from resources.landed import landed_parts
from resources.landing import ASIDE, LandedFile, landing_prefix, read_landing, read_options
from resources.landing import read_folder as list_folder
from resources.storage import FileStorage, Storage
from resources.storage.base import HIDDEN


def land_folder(workplace: Workplace, pipeline: Pipeline, source: Path, flags: Mapping[str, Any]) -> tuple[str, Upload]:
    """Validate all files of a folder with those that its dataset has already, then put them in place.

    Options come from `<folder>.options.yaml` beside it, else from the one in the landing folder; `flags` are laid over them.

    Returns:
        The dataset id, and the upload as it was read. Its notes name the bad files, which were not put in place.

    Raises:
        UserError: no file is right, or the folder's name or the options are wrong; nothing was put in place.
    """
    refuse_passed_over(source.name, (*HIDDEN, ASIDE))
    here = FileStorage(uri=source.parent.as_uri())
    found = list_folder(here, source.name)
    if found is None:
        raise UserError(f"{source} holds no file that could be uploaded.")
    parts = sorted(landed_parts(here, found), key=lambda part: (part.modified_ns, part.name))
    return _land(workplace, pipeline, source.name, parts, flags, _options(here, source.name))


def land_into(
    workplace: Workplace, pipeline: Pipeline, source: Path, dataset: str, flags: Mapping[str, Any]
) -> tuple[str, Upload]:
    """Validate one file with those that a folder's dataset has already, then put it there.

    Args:
        workplace: Where it goes.
        pipeline: Which one it is for.
        source: The file.
        dataset: The name of a folder that is there or its dataset's id, else the id of a new one.
        flags: Options that are laid over those of the dataset.

    Raises:
        UserError: the file is no right one of that dataset, or there can be none of that name; nothing was put in place.
    """
    if not source.is_file():
        raise UserError(f"{source} is not a file.")
    refuse_passed_over(source.name, (*HIDDEN, ASIDE))
    landing = read_landing(workplace.adapters.storage, pipeline.name)
    named = next((file for file in landing.files if file.is_folder and file.name == dataset), None)
    there = [named] if named else landing.of(check_dataset_id(dataset))
    name = next((file.name for file in there if file.is_folder), dataset)
    here = FileStorage(uri=source.parent.as_uri())
    part = here.stat(source.name)
    assert part is not None
    alone = LandedFile(replace(part, key=""), parts=(part,))
    (only,) = landed_parts(here, alone)
    return _land(workplace, pipeline, name, [replace(only, name=source.name)], flags, {})


def _land(
    workplace: Workplace,
    pipeline: Pipeline,
    name: str,
    parts: list[Part],
    flags: Mapping[str, Any],
    beside: Mapping[str, Any],
) -> tuple[str, Upload]:
    storage, dataset = workplace.adapters.storage, folder_id(name)
    landing = read_landing(storage, pipeline.name)
    if name in landing.faults:
        raise UserError(landing.faults[name])
    there = next((file for file in landing.files if file.is_folder and file.name == name), None)
    if other := next((file for file in landing.by_dataset().get(dataset, []) if file.name != name), None):
        raise UserError(f"{other.name!r} in the landing folder has the dataset id {dataset!r} too: rename {name!r}.")
    target = f"{landing_prefix(pipeline.name)}/{name}"
    options = beside or _options(storage, target)
    given, effective = options_for(pipeline, name, options, flags, f"options of {name}")
    # What is put in place now is newer than what lies there, in the order in which it was written.
    now = time.time_ns()
    new = {part.name: replace(part, modified_ns=now + age) for age, part in enumerate(parts)}
    old = [part for part in (landed_parts(storage, there) if there else []) if part.name not in new]
    with options_as_flags():
        found = read_folder([*old, *new.values()], name, effective, pipeline, limits=workplace.settings.read_limits)
        right = [part for part in new.values() if part.name not in found.left_out]
        if not right:
            bad = {part: found.left_out[part] for part in new}
            raise with_proposals(f"Nothing was uploaded. {told_bad(bad)}", name, bad)
    check_series(workplace, found.upload, effective)
    put_options(storage, target, given)
    for part in right:
        with part.opened() as path:
            storage.put_file(f"{target}/{part.name}", path)
    remarks = pipeline.remarks(found.upload.accepted, effective)
    return dataset, replace(found.upload, notes=(*found.upload.notes, *remarks))


def _options(storage: Storage, key: str) -> dict[str, Any]:
    found = storage.stat(key + OPTIONS_SUFFIX)
    return read_options(storage, LandedFile(found, found)) if found else {}
