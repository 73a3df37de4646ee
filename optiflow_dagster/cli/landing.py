"""`optiflow upload`: check a file as the pipeline will, then put it and its options into the landing folder."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from optiflow.dataset_id import OPTIONS_SUFFIX, dataset_id, file_stem
from optiflow.errors import UserError
from optiflow.fred.enrichment import refuse_taken_names
from optiflow.options import DatasetOptions, is_text, merge_options
from optiflow.options_beside import read_options_beside
from optiflow.pipelines.spec import Pipeline
from optiflow.plain_yaml import read_yaml
from optiflow.proposals import ProposalError
from optiflow.upload.reading import Upload, read_upload
from optiflow_dagster.cli.workplace import Workplace
from resources.landing import LandedFile, Landing, landing_prefix, read_landing, read_options
from resources.storage import Storage
from resources.storage.base import HIDDEN

LISTS = ("fred_series", "drop_columns", "keep_columns", "sheet", "null_values", "fill_down")
LONGEST_NAME_BYTES = 255 - len(OPTIONS_SUFFIX)
"""File systems allow 255 bytes, and the options file has a longer name than the table."""


def parse_assignments(assignments: tuple[str, ...]) -> dict[str, Any]:
    """`("split.seed=3", "drop_columns=a,b")` as nested options.

    Raises:
        UserError: an assignment has no `=`, contradicts another one, or its value is not YAML.
    """
    options: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise UserError(f"--option {text!r}: write it as key=value, for example split.test_fraction=0.3.")
        *parents, key = path.strip().split(".")
        target = options
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise UserError(f"--option {text!r}: {parent} has a value already. Give one of the two.")
        if isinstance(target.get(key), dict):
            raise UserError(f"--option {text!r}: parts of {key} are given already. Give one of the two.")
        target[key] = _value((*parents, key), value, f"--option {text[:60]!r}")
    return options


def _value(path: tuple[str, ...], text: str, where: str) -> Any:
    if path[-1] in LISTS:
        return _split(text)
    # As it is: `%` cannot begin a plain value of YAML, and a column may be named 2024, No or `Voucher #`.
    return text if is_text(path) else read_yaml(text, where)


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def land(workplace: Workplace, pipeline: Pipeline, source: Path, flags: Mapping[str, Any]) -> tuple[str, Upload]:
    """Validate a file and its options, then put both in place, the options first.

    Options come from the file's own options file, else from the one that an earlier version of the dataset left in the
    landing folder; `flags` are laid over them.

    Returns:
        The dataset id, and the upload as it was read.

    Raises:
        UserError: the file, its name or its options are wrong; nothing was put in place.
    """
    if not source.is_file():
        raise UserError(f"{source} is not a file.")
    refuse_passed_over(source.name, HIDDEN)
    dataset = dataset_id(source.name)
    if len(source.name.encode()) > LONGEST_NAME_BYTES:
        raise UserError(f"{source.name[:60]}…: the name is longer than {LONGEST_NAME_BYTES} bytes: shorten it.")
    storage = workplace.adapters.storage
    landing = read_landing(storage, pipeline.name)
    if source.name in landing.faults:
        raise UserError(landing.faults[source.name])
    options, where = read_options_beside(source)
    if not options:
        options, where = _options_landed(workplace, pipeline, source.name), f"options of {dataset}"
    given, effective = options_for(pipeline, source.name, options, flags, where)
    with options_as_flags():
        upload = read_upload(source, source.name, effective, pipeline, workplace.settings.read_limits)
    check_series(workplace, upload, effective)
    _refuse_other_name(landing, dataset, source.name)
    target = f"{landing_prefix(pipeline.name)}/{source.name}"
    put_options(storage, target, given)
    storage.put_file(target, source)
    remarks = pipeline.remarks(upload.accepted, effective)
    return dataset, replace(upload, notes=(*upload.notes, *remarks))


def refuse_passed_over(name: str, beginnings: Sequence[str]) -> None:
    """Make sure that what is put into the landing folder is read there.

    Raises:
        UserError: names that begin so are passed over.
    """
    if found := next((text for text in beginnings if name.startswith(text)), None):
        raise UserError(
            f"{name!r} would be passed over: names that begin with {found!r} are those of temporary, hidden or marker files. "
            "Rename it."
        )


def options_for(
    pipeline: Pipeline, name: str, options: Mapping[str, Any], flags: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], DatasetOptions]:
    """What the user has given for an upload, to be written beside it, and with it what holds for it.

    Raises:
        UserError: they are wrong; says which of file and flags is.
    """
    merge_options(options, where=where)  # alone, so that the message says which of the two is wrong
    merged = merge_options(options, flags, where=f"options for {name} (flags and {where})")
    given = merged.model_dump(exclude_unset=True, mode="json")
    effective = merge_options(pipeline.default_options, given, where=where)
    pipeline.hyperparameters(effective)
    return given, effective


@contextmanager
def options_as_flags() -> Iterator[None]:
    """Say options that would help as what to add to the command."""
    try:
        yield
    except ProposalError as error:
        raise UserError(error.as_flags()) from error


def check_series(workplace: Workplace, upload: Upload, options: DatasetOptions) -> None:
    """Refuse FRED series that would fail later: all that it takes is known now.

    Raises:
        UserError, TransientError: as the FRED resource says, or a column has the name of a series.
    """
    refuse_taken_names(upload.accepted.columns, options.fred_series)
    for series_id in options.fred_series:
        fred = workplace.adapters.fred
        fred.coverage(fred.observations(series_id), upload.accepted[upload.date_column])


def put_options(storage: Storage, target: str, given: Mapping[str, Any]) -> None:
    """Put an upload's options in place, before the upload."""
    if given:
        text = yaml.safe_dump(dict(given), allow_unicode=True, sort_keys=False)
        storage.write_bytes(target + OPTIONS_SUFFIX, text.encode())


def _options_landed(workplace: Workplace, pipeline: Pipeline, name: str) -> dict[str, Any]:
    storage = workplace.adapters.storage
    key = f"{landing_prefix(pipeline.name)}/{name}{OPTIONS_SUFFIX}"
    found = storage.stat(key)
    return read_options(storage, LandedFile(found, found)) if found else {}


def _refuse_other_name(landing: Landing, dataset: str, name: str) -> None:
    for file in landing.by_dataset().get(dataset, []):
        if file_stem(file.name) != file_stem(name):
            raise UserError(
                f"{file.name!r} in the landing folder has the dataset id {dataset!r} too: rename {name!r}, or remove "
                "the other file if this one replaces it."
            )
