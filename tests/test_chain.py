"""The whole chain in this process, on a small sample: the numbers add up, equal work is done once, checks bite."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from project import OPTIONS, Project, assert_lake_is_whole, failure, fresh_project, materializations, metadata

from optiflow.pipelines.orders import sample as samples
from optiflow_dagster.definitions import build_definitions
from resources.lake import LakeIOManager
from resources.revision import REVISION_TAG
from resources.storage import Storage

ROWS = 900
ORDERS = samples.orders(rows=ROWS)
TARGET, DATE = "quantity", "order_date"
TABLES = {"upload", "enriched", "train", "test", "actuals", "predictions"}
PERSONAL = {
    "order_id": "identifier",
    "customer_name": "names of persons",
    "customer_email": "e-mail addresses",
    "customer_phone": "phone numbers",
    "note": "free text",
}


@dataclass(frozen=True)
class Ran:
    """A run of the dataset `shop`, the revision that it worked on, and the jobs that there were afterwards."""

    result: dg.ExecuteInProcessResult
    revision: str
    jobs: frozenset[str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with fresh_project(tmp_path_factory.mktemp("chain")) as project:
        yield project


def run_shop(project: Project, job: str = "orders_job", **arguments) -> Ran:
    result = project.run(job, "shop", **arguments)
    assert result.success
    run = project.instance.get_run_by_id(result.run_id)
    assert run is not None
    return Ran(result, run.tags[REVISION_TAG], frozenset(project.job_names()))


@pytest.fixture(scope="module")
def shop(project: Project) -> Ran:
    project.drop("shop.csv", ORDERS, OPTIONS)
    return run_shop(project)


@pytest.fixture(scope="module")
def by_chance(project: Project, shop: Ran) -> Ran:
    """The same bytes, split at random by an option of this run alone."""
    options = {"split": {"strategy": "random", "test_fraction": 0.3}}
    return run_shop(project, run_config={"ops": {"orders__upload": {"config": {"options": options}}}})


@pytest.fixture(scope="module")
def noise(project: Project, shop: Ran) -> Ran:
    """The same name with other bytes: the target has nothing to do with the rest any more."""
    project.drop("shop.csv", ORDERS.with_columns(pl.col(TARGET).shuffle(seed=3)))
    return run_shop(project)


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def test_the_reported_mse_is_that_of_the_predictions_and_actuals_in_the_lake(project, shop):
    predictions, actuals = (project.table(asset, "shop", shop.revision) for asset in ("predictions", "actuals"))
    both = predictions.join(actuals, on="row", validate="1:1")
    mse = both.select(((pl.col("predicted") - pl.col("actual")) ** 2).mean()).item()
    assert both.height == predictions.height == actuals.height
    assert project.report("shop", shop.revision)["metrics"]["mse"] == pytest.approx(mse, rel=1e-9)
    assert metadata(shop.result, "mse_report")["mse"] == pytest.approx(mse, rel=1e-9)


def test_the_actuals_are_the_values_of_the_uploaded_file(project, shop):
    uploaded = ORDERS.with_row_index("row", offset=2).select(pl.col("row").cast(pl.Int64), TARGET)
    joined = project.table("actuals", "shop", shop.revision).join(uploaded, on="row")
    assert joined["actual"].to_list() == joined[TARGET].to_list()


def test_every_row_of_the_file_is_rejected_trained_on_or_tested_on(project, shop):
    tables = {name: project.table(name, "shop", shop.revision)["row"] for name in ("rejected", "train", "test")}
    assert sorted(row for rows in tables.values() for row in rows) == list(range(2, ROWS + 2))
    assert tables["rejected"].len() == 3
    counts = {name: rows.len() for name, rows in tables.items()}
    assert project.report("shop", shop.revision)["rows"] == {"uploaded": ROWS, "merged": 0, **counts}


def test_the_test_rows_are_the_newest_and_hold_no_target(project, shop):
    train, test = (project.table(name, "shop", shop.revision) for name in ("train", "test"))
    assert train[DATE].max() <= test[DATE].min()
    assert TARGET in train.columns
    assert TARGET not in test.columns


def test_the_model_learned_something(project, shop):
    assert project.report("shop", shop.revision)["skill"] > 0.05
    assert evaluations(shop.result)["skill_above_baseline"].passed


def test_personal_and_identifying_columns_are_left_out_with_the_reason(project, shop):
    shown = metadata(shop.result, "training_job")
    reasons = shown["left_out"]
    assert {column: word for column, word in PERSONAL.items() if word in reasons[column]} == PERSONAL
    assert not [feature for feature in shown["features"] for column in PERSONAL if feature.startswith(column)]
    listed = {column["column"] for column in project.report("shop", shop.revision)["left_out"]}
    assert listed == set(reasons)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_says_its_rows_and_columns_and_shows_a_preview(project, shop, name):
    shown, written = metadata(shop.result, name), project.table(name, "shop", shop.revision)
    assert [column.name for column in shown["dagster/column_schema"].columns] == written.columns
    assert shown["dagster/partition_row_count"] == written.height
    assert len(shown["preview"].records) == 5


def test_every_asset_has_group_kinds_owners_and_a_description(project):
    specs = project.definitions.resolve_all_asset_specs()
    assert {spec.key.to_user_string() for spec in specs} >= {f"orders/{name}" for name in TABLES}
    for spec in specs:
        assert spec.group_name == spec.key.path[0]
        assert spec.kinds
        assert list(spec.owners) == ["team:optiflow"]
        assert len(spec.description or "") > 20


def test_a_model_with_nothing_beside_its_archive_as_earlier_versions_left_it_is_reported_on_as_before(project, shop):
    before = project.report("shop")["metrics"]
    (beside,) = project.work.glob("lake/orders/model/shop/*/xgboost-model")
    beside.unlink()
    assert project.run("orders_report_job", "shop").success
    assert project.report("shop")["metrics"] == before


def test_the_series_of_a_dataset_are_refreshed_from_now_on(project, shop):
    assert set(OPTIONS["fred_series"]) <= set(project.instance.get_dynamic_partitions("optiflow_fred_series"))


def test_an_identical_run_adopts_both_jobs(project, shop):
    again = run_shop(project)
    for asset in ("training_job", "prediction_job"):
        assert metadata(again.result, asset)["job"] == metadata(shop.result, asset)["job"]
        assert metadata(again.result, asset)["adopted"]
        assert not metadata(shop.result, asset)["adopted"]
    assert again.revision == shop.revision
    assert again.jobs == shop.jobs


def test_other_test_rows_leave_the_training_as_it_is(project, shop):
    held_out = pl.col("row").is_in(project.table("test", "shop", shop.revision)["row"].implode())
    before = (project.uploads / "shop.csv").read_bytes()
    changed = ORDERS.with_row_index("row", offset=2).with_columns(
        pl.when(held_out).then(pl.lit("Never Seen")).otherwise("product").alias("product"),
        pl.when(held_out).then(pl.col("unit_price") * 100).otherwise("unit_price").alias("unit_price"),
        pl.when(held_out).then(pl.col(TARGET) + 1000).otherwise(TARGET).alias(TARGET),
    )
    project.drop("shop.csv", changed.drop("row"))
    other = run_shop(project, "orders_training_job")
    (project.uploads / "shop.csv").write_bytes(before)
    assert other.revision != shop.revision
    assert project.table("test", "shop", other.revision)["product"].unique().to_list() == ["Never Seen"]
    assert project.table("actuals", "shop", other.revision)["actual"].min() > 1000
    assert metadata(other.result, "training_job")["job"] == metadata(shop.result, "training_job")["job"]
    assert other.jobs == shop.jobs


def test_changed_options_alone_make_another_revision_of_the_same_bytes(project, shop, by_chance):
    first, second = (project.report("shop", ran.revision) for ran in (shop, by_chance))
    assert first["version"] == second["version"]
    assert first["split_strategy"] == "time"
    assert second["split_strategy"] == "random"
    assert shop.revision.split("-")[0] == by_chance.revision.split("-")[0]
    assert shop.revision != by_chance.revision


def test_options_for_one_run_replace_neither_the_report_nor_the_champion(project, shop, by_chance):
    store = project.adapters.catalog.open()
    standing = store.dataset("orders", "shop")
    assert standing is not None
    assert standing.revision != by_chance.revision
    assert standing.options.split.strategy == "time"
    shown = json.loads(project.optiflow("report", "orders", "shop", "--json").out)
    assert shown["split_strategy"] == "time"
    asked = json.loads(project.optiflow("report", "orders", "shop", "--revision", by_chance.revision, "--json").out)
    assert asked == project.report("shop", by_chance.revision)
    assert asked["split_strategy"] == "random"
    assert asked["skill"] > 0
    refused = project.optiflow("report", "orders", "shop", "--revision", "nothing")
    assert refused.code == 2
    assert by_chance.revision in refused.err
    stages = {model.name: model.stage for model in store.models()}
    assert stages[asked["job"]["name"]] == "candidate"
    assert stages[project.report("shop", shop.revision)["job"]["name"]] == "champion"


def test_a_random_split_draws_its_share_from_all_times(project, shop, by_chance):
    train, test = (project.table(name, "shop", by_chance.revision) for name in ("train", "test"))
    assert test.height == pytest.approx(0.3 * (train.height + test.height), abs=1)
    assert not set(train["row"]) & set(test["row"])
    assert test[DATE].min() < train[DATE].sort()[train.height // 10]
    assert evaluations(by_chance.result)["split_disjoint"].passed


def test_changed_bytes_make_a_second_version_and_the_first_stays_readable(project, shop, noise):
    first, second = (project.report("shop", ran.revision) for ran in (shop, noise))
    assert first["version"] != second["version"]
    assert first["metrics"]["mse"] != second["metrics"]["mse"]
    for ran in (shop, noise):
        assert b"</html>" in project.path("mse_report", "shop", "/report.html", ran.revision).read_bytes()
    assert len(noise.jobs - shop.jobs) >= 2


def test_a_model_of_pure_noise_only_warns(project, noise):
    check = evaluations(noise.result)["skill_above_baseline"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.metadata["skill"].value == project.report("shop", noise.revision)["skill"] <= 0
    assert noise.result.success


def follow_up(project: Project, dataset: str) -> dg.RunRequest:
    """What the sensor asks for once the dataset's job has ended."""
    store = project.adapters.catalog.open()
    for job in store.open_jobs():
        project.adapters.jobs.wait(job.name, job.kind)
    with dg.build_sensor_context(
        instance=project.instance,
        resources={"catalog": project.adapters.catalog, "jobs": project.adapters.jobs},
        definitions=project.definitions,
    ) as context:
        answer: Any = project.definitions.resolve_sensor_def("external_jobs_sensor")(context)
    (request,) = [request for request in answer.run_requests if request.partition_key == dataset]
    return request


def test_the_three_parts_that_sensors_start_end_in_the_same_mse(project, shop):
    project.drop("by-parts.csv", ORDERS, OPTIONS)
    assert project.run("orders_training_job", "by-parts").success
    for expected in ("orders_prediction_job", "orders_report_job"):
        request = follow_up(project, "by-parts")
        assert request.job_name == expected
        assert project.run(expected, "by-parts", tags=request.tags).success
    parts, whole = project.report("by-parts"), project.report("shop", shop.revision)
    assert parts["metrics"] == whole["metrics"]
    assert parts["job"]["name"] != whole["job"]["name"]


def test_a_failed_job_turns_the_model_red_and_mended_options_train_again(project, shop):
    wrong = {**OPTIONS, "hyperparameters": {"objective": "count:poisson", "num_round": 5}}
    project.drop("red.csv", ORDERS.with_columns(-pl.col(TARGET)), wrong)
    submitted = project.run("orders_training_job", "red")
    assert submitted.success
    request = follow_up(project, "red")
    failed = project.run(request.job_name, "red", tags=request.tags)
    kind, message = failure(failed)
    job = metadata(submitted, "training_job")["job"]
    assert not failed.success
    assert [e.step_key for e in failed.all_events if e.is_step_failure] == ["orders__model"]
    assert kind == "job"
    assert message.startswith(f"Job {job} failed: ")
    assert "non-negative" in message
    assert not project.instance.get_materialized_partitions(dg.AssetKey(["orders", "model"])) & {"red"}

    project.drop("red.csv", ORDERS.with_columns(-pl.col(TARGET)), OPTIONS)
    assert project.run("orders_training_job", "red").success
    request = follow_up(project, "red")
    assert project.run(request.job_name, "red", tags=request.tags).success
    assert "red" in project.instance.get_materialized_partitions(dg.AssetKey(["orders", "model"]))


def without_target(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.when(pl.col("row") != table["row"][0]).then(TARGET))


def from_the_future(table: pl.DataFrame) -> pl.DataFrame:
    return table.sort(DATE).with_columns(pl.col("UNRATE").shift(-60).fill_null(strategy="forward"))


def first_row_last(table: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("row") == table["row"][0]
    return table.with_columns(pl.when(first).then(pl.date(2030, 1, 1)).otherwise(DATE).alias(DATE))


TAMPERED: list[tuple[str, str, Callable[[pl.DataFrame], pl.DataFrame], str]] = [
    ("schema", "upload", without_target, "missing_targets"),
    ("schema", "upload", lambda t: pl.concat([t, t.head(1)]), "duplicate_rows"),
    ("row_balance", "enriched", lambda t: t.tail(-1), "lost_rows"),
    ("row_balance", "enriched", lambda t: pl.concat([t, t.head(2)]), "doubled_rows"),
    ("no_future_value", "enriched", from_the_future, "wrong_values"),
    ("split_disjoint", "train", lambda t: t.tail(-1), "rows_in_neither"),
    ("split_disjoint", "test", lambda t: t.with_columns(quantity=1), "target_in_test"),
    ("split_disjoint", "actuals", lambda t: t.tail(-1), "rows_without_actual"),
    ("split_disjoint", "train", first_row_last, "train_rows_after"),
]


def run_check(project: Project, asset: str, check: str, revision: str) -> dg.AssetCheckEvaluation:
    """One check alone, on what lies in the lake now."""
    selection = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["orders", asset]), check))
    job = dg.Definitions(jobs=[dg.define_asset_job("one_check", selection)])
    done = (
        dg.Definitions.merge(project.definitions, job)
        .resolve_job_def("one_check")
        .execute_in_process(
            instance=project.instance,
            tags={"dagster/partition": "shop", REVISION_TAG: revision},
            raise_on_error=False,
        )
    )
    return evaluations(done)[check]


GUARDED = {"schema": "upload", "row_balance": "enriched", "no_future_value": "enriched", "split_disjoint": "actuals"}


@pytest.mark.parametrize(("check", "asset", "spoil", "fault"), TAMPERED, ids=[f"{t[0]}-{t[3]}" for t in TAMPERED])
def test_a_check_fails_on_a_table_that_was_tampered_with(project, shop, check, asset, spoil, fault):
    path: Path = project.path(asset, "shop", ".parquet", shop.revision)
    sound = path.read_bytes()
    spoil(pl.read_parquet(sound)).write_parquet(path)
    try:
        found = run_check(project, GUARDED[check], check, shop.revision)
    finally:
        path.write_bytes(sound)
    counted: list[Any] = [value.value for name, value in found.metadata.items() if name.startswith(fault)]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert counted[0] > 0


@pytest.mark.parametrize("check", GUARDED)
def test_a_check_passes_on_what_the_chain_wrote(project, shop, check):
    assert evaluations(shop.result)[check].passed
    assert run_check(project, GUARDED[check], check, shop.revision).passed


def test_a_table_that_lost_a_row_stops_the_run_before_anything_is_trained(project):
    class Lossy(LakeIOManager):
        def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame | pl.LazyFrame) -> None:
            lost = obj.lazy().collect().head(-1) if context.asset_key.path[-1] == "enriched" else obj
            super().handle_output(context, lost)

    storage: Storage = project.adapters.storage
    definitions = build_definitions(
        project.settings, io_manager=Lossy(storage=storage, catalog=project.adapters.catalog)
    )
    project.drop("lossy.csv", ORDERS.head(200), OPTIONS)
    before = project.job_names()
    result = project.run("orders_job", "lossy", definitions)
    assert not result.success
    assert not evaluations(result)["row_balance"].passed
    assert {made.asset_key.path[-1] for made in materializations(result)} == {"upload", "enriched"}
    assert project.job_names() == before


def test_a_run_that_starts_in_the_middle_says_what_to_materialize_first(project):
    result = project.run("orders_report_job", "never-uploaded")
    kind, message = failure(result)
    assert kind == "input"
    assert "materialize orders/upload" in message


def test_nothing_half_written_was_left(project, shop, by_chance, noise):
    assert_lake_is_whole(project.work)
