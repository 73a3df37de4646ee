"""`turnover` from an upload to its endpoint by Dagster: what is judged useless is neither champion nor deployed.

What does not belong here: verdicts without Dagster (`test_turnover`), and the endpoint alone (`test_turnover_endpoint`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
from project import Project, fresh_project, metadata

from optiflow.pipelines import PIPELINES
from optiflow.pipelines.turnover.dates import WATCHED
from optiflow.pipelines.turnover.sample import turnover
from resources.revision import REVISION_TAG

OUTLET = "outlet"
OPTIONS = {"split": {"test_fraction": 0.1}, "hyperparameters": {"num_round": 60, "eta": 0.2, "max_terms": 20}}
TOLD = ("price", "description", "category", "brand")
SAMPLE = turnover(1500)


@dataclass(frozen=True)
class Ran:
    """What one run of the whole chain left behind."""

    result: dg.ExecuteInProcessResult
    revision: str
    served: str | None


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with fresh_project(tmp_path_factory.mktemp("turnover"), "turnover") as made:
        yield made


def run_outlet(project: Project, table: pl.DataFrame) -> Ran:
    project.drop(f"{OUTLET}.csv", table, OPTIONS)
    result = project.run("turnover_job", OUTLET)
    assert result.success
    record = project.adapters.catalog.open().dataset("turnover", OUTLET)
    endpoint = project.adapters.endpoints.describe(OUTLET)
    assert record is not None
    return Ran(result, record.revision, endpoint.model if endpoint else None)


@pytest.fixture(scope="module")
def permuted(project: Project) -> Ran:
    order = np.random.default_rng(1).permutation(SAMPLE.height)
    return run_outlet(project, SAMPLE.with_columns(SAMPLE.select(TOLD)[order]))


@pytest.fixture(scope="module")
def genuine(project: Project, permuted: Ran) -> Ran:
    return run_outlet(project, SAMPLE)


def stage_of(project: Project, ran: Ran) -> str:
    stages = {model.name: model.stage for model in project.adapters.catalog.open().models()}
    return stages[metadata(ran.result, "turnover_report")["model"]]


def test_a_model_of_permuted_items_is_no_champion_and_is_not_deployed(project: Project, permuted: Ran) -> None:
    assert "no better than the Kaplan-Meier curve" in metadata(permuted.result, "turnover_report")["verdict"]
    assert metadata(permuted.result, "turnover_report")["model_stage"] == "candidate"
    assert stage_of(project, permuted) == "candidate"
    assert metadata(permuted.result, "endpoint")["status"] == "there is no endpoint"
    assert permuted.served is None


def test_a_model_of_the_items_as_they_are_is_champion_and_is_deployed(project: Project, genuine: Ran) -> None:
    said = metadata(genuine.result, "turnover_report")
    assert said["verdict"].startswith("The model is better than the Kaplan-Meier curve")
    assert stage_of(project, genuine) == "champion"
    assert metadata(genuine.result, "endpoint")["model"] == said["model"] == genuine.served


def newest(row: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """One of the training rows that `row` picks, put on sale a day after the oldest held-out item and watched since."""

    def spoil(train: pl.DataFrame) -> pl.DataFrame:
        old = train.filter(pl.col("horizon") <= WATCHED)["created"].max()
        chosen = train.filter(pl.col("horizon") <= WATCHED, row)["row"][0]
        later = pl.lit(old) + timedelta(days=20)
        return train.with_columns(created=pl.when(pl.col("row") == chosen).then(later).otherwise("created"))

    return spoil


def young_with_target(train: pl.DataFrame) -> pl.DataFrame:
    chosen = train.filter(pl.col("horizon") > WATCHED)["row"][0]
    return train.with_columns(days=pl.when(pl.col("row") == chosen).then(3.0).otherwise("days"))


@pytest.mark.parametrize(
    "spoil",
    [
        newest(pl.col("days").is_not_null()),
        newest(pl.col("sold").is_null()),
        young_with_target,
    ],
    ids=["sold", "watched-and-unsold", "young-with-target"],
)
def test_a_training_item_that_could_have_been_held_out_may_not_be_newer(
    project: Project, genuine: Ran, spoil: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    path: Path = project.path("train", OUTLET, ".parquet", genuine.revision)
    sound = path.read_bytes()
    spoil(pl.read_parquet(sound)).write_parquet(path)
    try:
        found = split_disjoint(project, genuine.revision)
    finally:
        path.write_bytes(sound)
    assert not found.passed
    assert found.metadata["train_rows_after_test_began"].value == 1


def test_young_items_may_be_newer(project: Project, genuine: Ran) -> None:
    train, test = (project.table(name, OUTLET, genuine.revision) for name in ("train", "test"))
    assert train.filter(pl.col("created") > test["created"].max()).height > 20
    assert split_disjoint(project, genuine.revision).passed


def test_held_out_items_that_show_their_hidden_day_of_sale_are_found_out(project: Project, genuine: Ran) -> None:
    path: Path = project.path("test", OUTLET, ".parquet", genuine.revision)
    sound, sold = path.read_bytes(), project.table("enriched", OUTLET, genuine.revision).select("row", "sold")
    pl.read_parquet(sound).join(sold, on="row", how="left", maintain_order="left").write_parquet(path)
    try:
        found = split_disjoint(project, genuine.revision)
    finally:
        path.write_bytes(sound)
    assert not found.passed
    assert found.metadata["target_in_test"].value == 1


def split_disjoint(project: Project, revision: str) -> dg.AssetCheckEvaluation:
    """The check alone, on what lies in the lake now."""
    check = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["turnover", "actuals"]), "split_disjoint"))
    job = dg.Definitions(jobs=[dg.define_asset_job("one_check", check)])
    done = (
        dg.Definitions.merge(project.definitions, job)
        .resolve_job_def("one_check")
        .execute_in_process(
            instance=project.instance,
            tags={"dagster/partition": OUTLET, REVISION_TAG: revision},
            raise_on_error=False,
        )
    )
    (found,) = done.get_asset_check_evaluations()
    return found


def test_no_other_pipeline_lets_a_training_row_be_newer() -> None:
    rows = pl.LazyFrame({"row": [2, 3], "days": [None, 1.0]})
    strict = {name for name, pipeline in PIPELINES.items() if pipeline.must_be_older(rows) is rows}
    assert strict == PIPELINES.keys() - {"turnover"}
