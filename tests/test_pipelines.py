"""Every pipeline from its sample to its report: by the command line on this machine, and on S3 and SageMaker.

What belongs here: what holds for all of them. What does not: `orders`, which has files of its own.
"""

import importlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aws_chain_project import AwsProject
from aws_double.client import AwsDouble
from project import ROOT, Project, assert_lake_is_whole, fresh_project

from optiflow.pipelines import PIPELINES, samples
from resources.jobs.contract import JobKind
from resources.jobs.source import pack_source

IMAGE_PYTHON = ROOT / ".venv-image" / "bin" / "python"
NAMES = [name for name in PIPELINES if name != "orders"]

pytestmark = pytest.mark.slow  # as one, so that one worker makes each sample's report


@pytest.fixture(scope="module", params=NAMES)
def local(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose sample has been uploaded and run by the command line."""
    with fresh_project(tmp_path_factory.mktemp(request.param), request.param) as project:
        file = samples.write_sample(project.pipeline, project.home / "mine")
        assert project.optiflow("upload", file, "--pipeline", project.pipeline).code == 0
        done = project.optiflow("run", project.pipeline, file.stem)
        assert done.code == 0, done.shown
        yield project


def report_of(project: Project) -> dict[str, Any]:
    (dataset,) = [record.dataset for record in project.adapters.catalog.open().datasets()]
    return json.loads(project.optiflow("report", project.pipeline, dataset, "--json").out)


def test_the_sample_becomes_a_report_that_beats_its_baselines(local: Project) -> None:
    found = report_of(local)
    assert found["pipeline"] == local.pipeline
    assert found["rows"]["uploaded"] == found["rows"]["train"] + found["rows"]["test"] + found["rows"]["rejected"]
    assert found["headlines"]
    assert found["tables"]
    if PIPELINES[local.pipeline].has_actuals:
        assert found["skill"] > 0
        assert len(found["baselines"]) >= 1
    assert_lake_is_whole(local.work)


def test_every_result_is_a_table_with_the_columns_that_its_asset_promises(local: Project) -> None:
    (dataset,) = [record.dataset for record in local.adapters.catalog.open().datasets()]
    for name, result in PIPELINES[local.pipeline].results.items():
        table = local.table(name, dataset)
        assert table.height > 0
        promised = {column: dtype for column, (dtype, _) in result.columns.items()}
        assert {column: str(table.schema[column]).split("(")[0] for column in promised} == promised


def test_every_result_that_tells_of_a_row_says_what_the_row_is_about(local: Project) -> None:
    """By the file's own lines: row 2 is the first below the header."""
    pipeline = PIPELINES[local.pipeline]
    (dataset,) = [record.dataset for record in local.adapters.catalog.open().datasets()]
    (file,) = (local.home / "mine").glob("*.csv")
    lines = pl.read_csv(file, infer_schema=False).with_row_index("row", offset=2).cast({"row": pl.Int64})
    for name in pipeline.results:
        table = local.table(name, dataset)
        if "row" not in table.columns:
            continue
        told = table.filter(pl.col("row") > 0).join(lines, on="row", how="left", validate="1:1", suffix=" (raw)")
        for role in pipeline.roles:
            header = next((raw for raw in lines.columns if raw.lower() in {role.name, *role.headers}), None)
            if header is None or role.name == pipeline.target or role.name in pipeline.hidden:
                continue
            raw = told[f"{header} (raw)" if f"{header} (raw)" in told.columns else header]
            found = told[role.name]
            if role.kind == "number":
                assert found.to_list() == raw.cast(pl.Float64).to_list(), (name, role.name)
            elif role.kind != "date":
                assert found.to_list() == raw.str.strip_chars().to_list(), (name, role.name)
        assert pipeline.target is None or pipeline.target not in table.columns
        assert not set(pipeline.hidden) & set(table.columns)


def test_the_same_file_again_trains_nothing(local: Project) -> None:
    (dataset,) = [record.dataset for record in local.adapters.catalog.open().datasets()]
    before = local.job_names()
    assert local.optiflow("run", local.pipeline, dataset).code == 0
    assert local.job_names() == before
    assert len(before) == 2


def test_on_sagemaker_the_packed_learner_makes_the_same_report(
    local: Project, bucket: Any, aws: AwsDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if IMAGE_PYTHON.is_file():  # made by `make setup`: what AWS's image has, and nothing of ours
        monkeypatch.setenv("OPTIFLOW_IMAGE_PYTHON", str(IMAGE_PYTHON))
    sample = importlib.import_module(f"optiflow.pipelines.{local.pipeline}.sample")
    project = AwsProject(tmp_path, local.pipeline)
    with project.instance:
        file = samples.write_sample(local.pipeline, tmp_path)
        project.upload(file.name, pl.read_csv(file, infer_schema=False), dict(sample.SAMPLE_OPTIONS))
        dataset = report_of(local)["dataset"]
        for part, kind in (("training", JobKind.TRAINING), ("prediction", JobKind.PROCESSING), ("report", None)):
            assert project.run(f"{local.pipeline}_{part}_job", dataset).success
            for job in project.adapters.catalog.open().open_jobs():
                assert job.kind is kind
                project.adapters.jobs.wait(job.name, job.kind)
        here, there = report_of(local), project.found(dataset)
    assert there["metrics"] == pytest.approx(here["metrics"], rel=1e-6)
    assert there["further_metrics"] == pytest.approx(here["further_metrics"], rel=1e-6)
    assert there["rows"] == here["rows"]
    assert len(aws.requests("sagemaker:CreateTrainingJob")) == 1
    assert len(aws.requests("sagemaker:CreateProcessingJob")) == 1
    assert [call for call in aws.requests() if call["invalid"]] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_a_learner_needs_beyond_the_image_is_packed_with_it(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "source.tar.gz"
    archive.write_bytes(pack_source(PIPELINES[name].requirements))
    shutil.unpack_archive(archive, tmp_path / "code", filter="data")
    lines = tmp_path / "code" / "requirements.txt"
    assert (lines.read_text().splitlines() if lines.exists() else []) == sorted(PIPELINES[name].requirements)
    assert (tmp_path / "code" / "optiflow" / "learners" / name / "__init__.py").is_file()
