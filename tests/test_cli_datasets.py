"""What people do with a dataset that is there: see how it stands, export, compare, rename and delete it."""

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import dagster as dg
import fastexcel
import polars as pl
import pytest
from aws_double.client import REGION
from polars.testing import assert_frame_equal
from project import OPTIONS, Project, Said, fresh_project
from queued_runs import stored_run

from optiflow.errors import UserError
from optiflow.options import merge_options
from optiflow.pipelines.orders import sample as samples
from optiflow_dagster.cli import show
from optiflow_dagster.removal import belongings, remove
from optiflow_dagster.renaming import put_under_name
from resources.catalog.records import DatasetRecord, JobRecord, ModelRecord
from resources.jobs.contract import JobKind, JobState, JobStatus
from resources.landing import left_alone, read_landing, remove_upload
from resources.storage import S3Storage

ORDERS = samples.orders(rows=400, seed=5)
SHOP = "shop-orders"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two revisions of one dataset. The folder's name has what would be a pattern, a style, a fragment elsewhere."""
    home = tmp_path_factory.mktemp("datasets") / "[bold] #1 50% *"
    home.mkdir()
    with fresh_project(home) as project:
        yield project


@pytest.fixture(scope="module")
def ran(project: Project) -> Said:
    project.drop("Shop Orders.csv", ORDERS, OPTIONS)
    first = project.optiflow("run", "orders", SHOP)
    project.drop("Shop Orders.csv", ORDERS, {**OPTIONS, "split": {"test_fraction": 0.3}})
    assert project.optiflow("run", "orders", SHOP).code == 0
    return first


@pytest.fixture
def other(tmp_path: Path) -> Project:
    """A project in which nothing has happened yet."""
    return Project(tmp_path)


@pytest.fixture
def copy(project: Project, ran: Said, other: Project) -> Project:
    """The project once more, for whoever changes it."""
    shutil.copytree(project.work, other.work, dirs_exist_ok=True)
    return other


@contextlib.contextmanager
def dagster(project: Project) -> Iterator[dg.DagsterInstance]:
    with contextlib.chdir(project.home), dg.DagsterInstance.from_config(str(project.home)) as instance:
        yield instance


def files_of(project: Project, dataset: str) -> list[str]:
    """All that has the dataset's name in its path, but for what Dagster keeps of its runs."""
    found = (path.relative_to(project.work) for path in project.work.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if dataset in str(path) and path.parts[0] != "dagster")


def test_a_chain_runs_in_a_folder_whose_name_is_a_pattern(ran):
    assert ran.code == 0, ran.shown
    assert "rows in" in ran.out


def test_each_step_says_what_it_took_itself_and_the_end_says_the_sum(ran):
    steps = [float(line.split()[2]) for line in ran.out.splitlines() if line.strip().startswith("✓")]
    (whole,) = (line.split()[1] for line in ran.out.splitlines() if line.startswith("took "))
    assert steps != sorted(steps)  # a clock that only goes on would be
    assert sum(steps) <= float(whole.replace(",", "")) + 1


def test_status_has_one_line_a_dataset_with_its_state_and_the_reports_address(project, ran):
    said = project.optiflow("status").out
    lines = [line for line in said.splitlines() if line.startswith((f"orders    {SHOP}", f"orders {SHOP}"))]
    table, page = lines
    assert [words for words in (" done ", "Shop Orders.csv") if words in table] == [" done ", "Shop Orders.csv"]
    skill = project.report(SHOP)["skill"]
    assert f"{skill * 100:.1f} %" in table
    address = page.split(": ", 1)[1]
    assert address == project.path("mse_report", SHOP, "/report.html").as_uri()
    rows = json.loads(project.optiflow("status", "--json").out)
    assert [row["report"] is not None for row in rows["datasets"]] == [True, True]
    assert rows["runs"] == []


def test_figures_are_plain_however_large(other):
    store = other.adapters.catalog.open()
    names = ("orders-a-training-0000000000", "orders", "a", "r", "file:///x", datetime.now(UTC))
    store.put_model(ModelRecord(*names))
    store.judge_model(names[0], {"mse": 1234567.89, "skill": 0.51234}, champion=True)
    said = other.optiflow("status").out
    assert "1,234,568" in said
    assert "51.2 %" in said
    assert "e+06" not in said


def test_a_failed_run_is_shown_with_its_reason_and_no_longer_once_a_newer_one_did_well(other):
    other.drop("broken.csv", ORDERS, {"target": "quantitty"})
    assert other.optiflow("run", "orders", "broken").code == 2
    said = other.optiflow("status").out
    assert "Runs that failed (1)" in said
    assert "orders_job of broken" in said
    assert "'quantitty' is not a column. Did you mean 'quantity'?" in said
    (line,) = (line for line in said.splitlines() if line.startswith("orders    broken"))
    assert " failed" in line
    (run,) = json.loads(other.optiflow("status", "--json").out)["runs"]
    assert (run["state"], run["dataset"], run["job"]) == ("failed", "broken", "orders_job")
    assert "Did you mean 'quantity'?" in run["reason"]
    with dagster(other) as instance:
        stored_run(instance, "orders_job", "broken", status=dg.DagsterRunStatus.SUCCESS)
    assert "Runs that failed" not in other.optiflow("status").out


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (dg.DagsterRunStatus.QUEUED, "waiting"),
        (dg.DagsterRunStatus.STARTED, "running"),
        (dg.DagsterRunStatus.CANCELING, "being canceled"),
    ],
)
def test_a_run_that_goes_on_is_shown_and_a_report_says_that_a_newer_one_is_made(copy, status, state):
    with dagster(copy) as instance:
        stored_run(instance, "orders_training_job", SHOP, status=status)
        stored_run(instance, "orders_training_job", "new-one", status=status)
    said = copy.optiflow("status").out
    assert "Runs that wait or go on (2)" in said
    assert f"{state} since" in said
    (line,) = (line for line in said.splitlines() if line.startswith(f"orders    {SHOP}"))
    assert f" {state} " in line
    old = copy.optiflow("report", "orders", SHOP, "--json")
    assert old.code == 0
    assert f"Note: a newer one is made. orders_training_job is {state} since" in old.err
    assert json.loads(old.out) == copy.report(SHOP)
    new = copy.optiflow("report", "orders", "new-one")
    assert new.code == 1
    assert f"There is no report yet: orders_training_job is {state} since" in new.err


def test_a_report_says_that_the_newest_run_failed_and_why(copy):
    copy.drop("Shop Orders.csv", ORDERS, {"target": "quantitty"})
    assert copy.optiflow("run", "orders", SHOP).code == 2
    said = copy.optiflow("report", "orders", SHOP)
    assert said.code == 0
    assert "Note: this is not the newest. The last run, orders_job, failed:" in said.err
    assert "'quantitty' is not a column" in said.err


def test_square_brackets_and_colons_in_values_are_shown_as_they_are(other):
    store = other.adapters.catalog.open()
    name, now = "orders-a-training-1", datetime.now(UTC)
    store.put_job(JobRecord(name, JobKind.TRAINING, "orders", "a", "r", "run", JobStatus.PENDING, now))
    reason = "No such file: [/opt/ml/input], [red]not a style[/red], :warning: Weight [kg]"
    store.update_job(JobState(name, JobKind.TRAINING, JobStatus.FAILED, now, None, now, reason))
    said = " ".join(other.optiflow("status").out.split())
    assert reason in said


def test_no_console_of_the_command_line_takes_values_for_markup():
    shown = show.console()
    shown.file = io.StringIO()
    for text in ("Weight [kg]", "[/opt/ml]", ":smile:"):
        shown.print(text)
    assert shown.file.getvalue() == "Weight [kg]\n[/opt/ml]\n:smile:\n"


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_an_exported_table_is_the_one_in_the_lake(project, ran, tmp_path, suffix):
    target = tmp_path / f"out{suffix}"
    said = project.optiflow("export", "orders", SHOP, "enriched", "--to", target)
    assert said.code == 0, said.shown
    expected = project.table("enriched", SHOP)
    assert said.out == f"{target}: {expected.height:,} rows, {expected.width} columns.\n"
    if suffix == ".parquet":
        found = pl.read_parquet(target)
    elif suffix == ".csv":
        found = pl.read_csv(target, schema_overrides=expected.schema)
        # A spreadsheet would reckon with a phone number such as +1 200-555-0148.
        assert found["customer_phone"].str.starts_with("'+").all()
        found = found.with_columns(pl.col("customer_phone").str.strip_prefix("'"))
    else:
        found = fastexcel.read_excel(target).load_sheet(0).to_polars().cast(dict(expected.schema))
    assert_frame_equal(found, expected, rel_tol=1e-12)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_an_export_is_of_the_revision_that_is_named_else_of_the_newest_report(project, ran, tmp_path):
    newest, older = (record.revision for record in project.adapters.catalog.open().datasets())
    for name, more in (("a", ()), ("b", ("--revision", older[:14]))):
        assert (
            project.optiflow("export", "orders", SHOP, "predictions", "--to", tmp_path / f"{name}.csv", *more).code == 0
        )
    rows = [pl.read_csv(tmp_path / f"{name}.csv").height for name in "ab"]
    assert rows == [project.table("actuals", SHOP, revision).height for revision in (newest, older)]
    assert rows[0] > rows[1]


def test_a_file_that_is_there_is_overwritten_only_if_that_is_said(project, ran, tmp_path):
    (tmp_path / "mine.csv").write_text("mine")
    arguments = ("export", "orders", SHOP, "actuals", "--to", tmp_path / "mine.csv")
    said = project.optiflow(*arguments)
    assert said.code == 2
    assert "mine.csv is there already" in said.err
    assert (tmp_path / "mine.csv").read_text() == "mine"
    assert project.optiflow(*arguments, "--force").code == 0
    assert (tmp_path / "mine.csv").read_text(encoding="utf-8-sig").startswith("row,actual")


def test_two_revisions_stand_side_by_side_and_different_rows_are_told(project, ran):
    newest, older = (record.revision for record in project.adapters.catalog.open().datasets())
    said = project.optiflow("compare", "orders", SHOP)
    assert said.code == 0, said.shown
    assert said.out.index(older) < said.out.index(newest)
    assert "They were judged on different rows" in said.out
    found = json.loads(project.optiflow("compare", "orders", SHOP, older, newest, "--json").out)
    assert found["metrics"]["mse"] == [project.report(SHOP, name)["metrics"]["mse"] for name in (older, newest)]
    assert {name: [old["test_fraction"], new["test_fraction"]] for name, (old, new) in found["options"].items()} == {
        "split": [0.2, 0.3]
    }
    assert found["same_rows"] is False


def test_delete_says_what_goes_asks_and_leaves_nothing_but_the_upload(copy):
    kept = copy.drop("other.csv", ORDERS, OPTIONS)
    before = files_of(copy, SHOP)
    assert len(before) > 20
    said = copy.optiflow("delete", "orders", SHOP, "--yes")
    assert said.code == 0, said.shown
    assert "2 revision(s)" in said.out
    assert "Shop Orders.csv with its options stays in" in said.out
    assert files_of(copy, SHOP) == ["lake/deleted-uploads/orders/shop-orders"]
    assert (copy.uploads / "Shop Orders.csv").is_file()
    assert kept.is_file()
    shown = json.loads(copy.optiflow("status", "--json").out)
    assert shown == {"datasets": [], "runs": [], "jobs": [], "models": [], "unstarted_runs": []}
    with dagster(copy) as instance:
        assert instance.get_dynamic_partitions("optiflow_orders") == []
    again = copy.optiflow("delete", "orders", SHOP, "--yes")
    assert again.code == 2
    assert f"There is no dataset {SHOP!r} in orders." in again.err


def test_an_upload_that_stayed_is_not_run_by_itself_until_it_changes(copy):
    assert copy.optiflow("delete", "orders", SHOP, "--yes").code == 0
    with dagster(copy) as instance:

        def tick(cursor: str | None) -> dg.SensorResult:
            repository = copy.definitions.get_repository_def()
            context = dg.build_sensor_context(
                instance=instance,
                cursor=cursor,
                repository_def=repository,
                resources={"storage": copy.adapters.storage},
            )
            return repository.get_sensor_def("uploads_sensor")(context)

        first = tick(None)
        assert [request.partition_key for request in first.run_requests or ()] == []
        assert "Shop Orders.csv is left alone: its dataset was deleted" in str(first.skip_reason)
        copy.drop("Shop Orders.csv", ORDERS.head(300))
        second = tick(first.cursor)
        assert [request.partition_key for request in second.run_requests or ()] == [SHOP]


def test_delete_takes_the_upload_only_if_that_is_said(copy):
    said = copy.optiflow("delete", "orders", SHOP, "--yes", "--upload")
    assert said.code == 0
    assert files_of(copy, SHOP) == []
    assert list(copy.uploads.iterdir()) == []


def test_delete_while_a_run_goes_on_changes_nothing(copy):
    before = files_of(copy, SHOP)
    with dagster(copy) as instance:
        run = stored_run(instance, "orders_report_job", SHOP, status=dg.DagsterRunStatus.STARTED)
    said = copy.optiflow("delete", "orders", SHOP, "--yes", "--upload")
    assert said.code == 2
    assert f"orders_report_job is running, run {run}" in said.err
    assert files_of(copy, SHOP) == before
    assert copy.optiflow("report", "orders", SHOP).code == 0


@pytest.mark.parametrize("step", ["jobs", "lake", "catalog"])
def test_a_deletion_that_was_cut_off_is_finished_by_the_next(copy, monkeypatch, step):
    def cut_off(*_: object) -> None:
        raise UserError("cut off")

    adapters, now = copy.adapters, datetime.now(UTC)
    waiting = (
        "orders-shop-orders-training-0",
        JobKind.TRAINING,
        "orders",
        SHOP,
        "r",
        "run",
        JobStatus.IN_PROGRESS,
        now,
    )
    adapters.catalog.open().put_job(JobRecord(*waiting))
    places = {
        "jobs": (type(adapters.jobs), "remove"),
        "lake": (type(adapters.storage), "remove_tree"),
        "catalog": (type(adapters.catalog.open()), "remove_dataset"),
    }
    with dagster(copy) as instance, monkeypatch.context() as patch:
        patch.setattr(*places[step], cut_off)
        with pytest.raises(UserError, match="cut off"):
            remove(adapters, instance, belongings(adapters, instance, "orders", SHOP))
        assert adapters.catalog.open().open_jobs() == []  # no sensor goes on with it
    assert copy.optiflow("delete", "orders", SHOP, "--yes").code == 0
    assert files_of(copy, SHOP) == ["lake/deleted-uploads/orders/shop-orders"]
    assert adapters.catalog.open().datasets() == []


def test_a_deleted_dataset_is_trained_anew_when_it_is_run_again(copy):
    assert copy.optiflow("delete", "orders", SHOP, "--yes").code == 0
    assert copy.optiflow("run", "orders", SHOP).code == 0
    assert copy.report(SHOP)["dataset"] == SHOP


def test_rename_puts_the_upload_under_the_new_name_and_takes_the_old_ones_away(copy):
    data, options = ((copy.uploads / f"Shop Orders.csv{end}").read_bytes() for end in ("", ".options.yaml"))
    said = copy.optiflow("rename", "orders", SHOP, "north", "--yes")
    assert said.code == 0, said.shown
    assert "Shop Orders.csv becomes north.csv" in said.out
    assert sorted(path.name for path in copy.uploads.iterdir()) == ["north.csv", "north.csv.options.yaml"]
    assert (copy.uploads / "north.csv").read_bytes() == data
    assert (copy.uploads / "north.csv.options.yaml").read_bytes() == options
    assert files_of(copy, SHOP) == []
    assert copy.adapters.catalog.open().datasets() == []


def test_rename_never_takes_another_datasets_name(copy):
    copy.drop("north.csv", ORDERS.head(300), OPTIONS)
    before = files_of(copy, "/")
    said = copy.optiflow("rename", "orders", SHOP, "north", "--yes")
    assert said.code == 2
    assert "There is a dataset 'north' in orders already" in said.err
    assert files_of(copy, "/") == before


def grown(project: Project, name: str = "Daily Sales", *more: str) -> Path:
    """A folder of two days, the newer one first by name, and a model that was made of it."""
    place = project.uploads / name
    for part, text in (("b/old.csv", "a\n1\n"), ("a.csv", "a\n2\n"), ("_SUCCESS", "")):
        path = place / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (project.uploads / f"{name}.options.yaml").write_text("horizon: 7\n")
    names = ("orders-daily-sales-training-0", "orders", "daily-sales", "r", "file:///x", datetime.now(UTC))
    project.adapters.catalog.open().put_model(ModelRecord(*names))
    return place


def made_of(project: Project) -> list[str]:
    return [model.dataset for model in project.adapters.catalog.open().models()]


def test_delete_takes_a_folder_of_files_with_its_options_if_that_is_said(other):
    place = grown(other)
    said = other.optiflow("delete", "orders", "daily-sales", "--yes", "--upload")
    assert said.code == 0, said.shown
    assert "Daily Sales/ (2 files) with its options" in said.out
    assert (place.exists(), list(other.uploads.iterdir()), made_of(other)) == (False, [], [])


def test_delete_of_a_folder_that_is_a_link_takes_the_link_and_not_what_it_leads_to(other, tmp_path):
    place = grown(other)
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert other.optiflow("delete", "orders", "daily-sales", "--yes", "--upload").code == 0
    assert (list(other.uploads.iterdir()), made_of(other)) == ([], [])
    assert (tmp_path / "elsewhere" / "a.csv").read_text() == "a\n2\n"


def test_rename_takes_a_folder_with_all_that_is_in_it_and_its_files_keep_their_age(other):
    grown(other)
    said = other.optiflow("rename", "orders", "daily-sales", "north", "--yes")
    assert said.code == 0, said.shown
    assert sorted(path.name for path in other.uploads.iterdir()) == ["north", "north.options.yaml"]
    (file,) = read_landing(other.adapters.storage, "orders").files
    oldest_first = sorted(file.parts, key=lambda part: part.modified_ns)
    assert [part.key for part in oldest_first] == ["uploads/orders/north/b/old.csv", "uploads/orders/north/a.csv"]
    assert (other.uploads / "north" / "_SUCCESS").is_file()
    assert made_of(other) == []


def test_a_renaming_of_a_folder_that_was_cut_off_is_finished_by_the_next(other):
    place = grown(other)
    (other.uploads / "north").mkdir()
    shutil.copy(place / "a.csv", other.uploads / "north" / "a.csv")
    assert other.optiflow("rename", "orders", "daily-sales", "north", "--yes").code == 0
    assert sorted(path.name for path in (other.uploads / "north").rglob("*.csv")) == ["a.csv", "old.csv"]
    assert not place.exists()


def test_rename_never_puts_a_folder_over_anothers_files(other):
    place = grown(other)
    (other.uploads / "north").mkdir()
    (other.uploads / "north" / "a.csv").write_text("a\n3\n")
    said = other.optiflow("rename", "orders", "daily-sales", "north", "--yes")
    assert (said.code, place.is_dir()) == (2, True)
    assert "There is a dataset 'north' in orders already" in said.err


def pulled_dataset(project: Project) -> str:
    """A grown folder that a source fills; the key of how far it was read."""
    grown(project, "daily-sales")
    said = "erp: {pipeline: orders, dataset: daily-sales, url: 'https://erp.example.com/api'}"
    (project.home / "sources.yaml").write_text(said)
    key = "lake/sources/erp/state.json"
    project.adapters.storage.write_bytes(key, b"{}")
    return key


@pytest.mark.parametrize("upload", ["--upload", "--keep-upload", "removed by hand"])
def test_delete_forgets_how_far_a_source_was_read_if_its_files_go(other, upload):
    key = pulled_dataset(other)
    if upload == "removed by hand":
        shutil.rmtree(other.uploads / "daily-sales")
    flags = [upload] if upload.startswith("--") else []
    said = other.optiflow("delete", "orders", "daily-sales", "--yes", *flags)
    assert said.code == 0, said.shown
    assert "the source erp of sources.yaml, which fills it: take it out" in said.out
    assert other.adapters.storage.exists(key) is (upload == "--keep-upload")


def test_rename_of_a_dataset_that_a_source_fills_says_what_to_change_first(other):
    pulled_dataset(other)
    said = other.optiflow("rename", "orders", "daily-sales", "north", "--yes")
    assert said.code == 2
    assert "The source erp of sources.yaml would go on to fill 'daily-sales'." in said.err
    assert "write dataset: north there, then do this again" in said.err
    assert (other.uploads / "daily-sales" / "a.csv").is_file()
    (other.home / "sources.yaml").unlink()
    assert other.optiflow("rename", "orders", "daily-sales", "north", "--yes").code == 0


def test_what_is_left_of_a_folder_whose_removal_was_cut_off_is_taken_by_nobody_until_something_newer_comes(
    other, monkeypatch
):
    place, storage = grown(other), other.adapters.storage
    (file,) = read_landing(storage, "orders").files

    def cut_off(*_: object) -> None:
        (place / "a.csv").unlink()
        raise UserError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "remove_tree", cut_off)
        with pytest.raises(UserError, match="cut off"):
            remove_upload(storage, "orders", file)

    def alone() -> set[str]:
        (left,) = read_landing(storage, "orders").files
        return left_alone(storage, "orders", {"daily-sales": left})

    assert alone() == {"daily-sales"}
    (place / "new.csv").write_text("a\n5\n")
    assert alone() == set()
    remove_upload(storage, "orders", file)
    assert list(other.uploads.iterdir()) == []
    assert files_of(other, "daily-sales") == []


def test_a_dataset_with_its_former_id_goes_with_the_file_it_was_made_from_and_no_other(other):
    for name in ("Продажи 2024.csv", "Остатки 2024.csv"):
        other.drop(name, ORDERS.head(3))
    store = other.adapters.catalog.open()
    made = ("orders", "2024", "r", "v", "Остатки 2024.csv", 1, merge_options({}), datetime.now(UTC))
    with dagster(other) as instance:
        assert belongings(other.adapters, instance, "orders", "2024").uploads == []
        store.put_dataset(DatasetRecord(*made))
        (found,) = belongings(other.adapters, instance, "orders", "2024").uploads
        assert found.name == "Остатки 2024.csv"


def test_a_folder_in_a_bucket_is_renamed_and_removed_whole(aws, tmp_path):
    client = boto3.client("s3")
    client.create_bucket(Bucket="folders", CreateBucketConfiguration={"LocationConstraint": REGION})
    storage = S3Storage(uri="s3://folders/x")
    for key in ("shop/2.csv", "shop/1.csv", "shop/_SUCCESS", "shop.options.yaml", "shop-2/1.csv"):
        storage.write_bytes(f"uploads/orders/{key}", key.encode())
    shop = next(file for file in read_landing(storage, "orders").files if file.name == "shop")
    put_under_name(storage, [(shop, "north")])
    remove_upload(storage, "orders", shop)
    left = sorted(found.key.removeprefix("uploads/orders/") for found in storage.tree("uploads"))
    assert left == ["north.options.yaml", "north/1.csv", "north/2.csv", "north/_SUCCESS", "shop-2/1.csv"]
    assert storage.read_bytes("uploads/orders/north/1.csv") == b"shop/1.csv"
    assert list(storage.tree("lake")) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("delete", "orders", "never-seen"), "There is no dataset 'never-seen' in orders. Datasets: none."),
        (("delete", "ordrs", "x"), "There is no pipeline 'ordrs'"),
        (("delete", "orders", "../x"), "is not a dataset id"),
        (("delete", "orders"), "Missing argument 'DATASET'"),
        (("rename", "orders", "a", "b"), "There is no dataset 'a' in orders."),
        (("rename", "orders", "a"), "Missing argument 'NAME'"),
        (("export", "orders", "a", "predictions"), "Missing option '--to'"),
        (("export", "orders", "a", "predictions", "--to", "a.txt"), "ends in .csv, .xlsx, .parquet"),
        (("export", "orders", "a", "predictions", "--to", "no/where/a.csv"), "There is no folder"),
        (
            ("export", "orders", "a", "predictions", "--to", "a.csv"),
            "There is no dataset 'a' in orders. Datasets: none yet.",
        ),
        (
            ("export", "orders", "a", "forecasts", "--to", "a.csv"),
            "orders has no table 'forecasts': use one of predictions",
        ),
        (("compare", "orders", "a"), "There is no dataset 'a' in orders."),
        (("compare", "orders", "a", "one"), "Name two revisions"),
        (("report", "orders", "a", "--revision", "x"), "There is no report of orders a, revision x"),
        (("status", "--jsn"), "No such option"),
        (("sample", "ordrs"), "There is no pipeline 'ordrs'"),
        (("demo", "ordrs"), "There is no pipeline 'ordrs'"),
        (("endpoint", "show", "nobody"), "There is no endpoint of 'nobody'"),
        (("endpoint", "ask", "nobody", "x.json"), "x.json is not a file"),
        (("endpoint", "delete", "nobody"), "There is no endpoint of 'nobody'"),
        (("endpoint", "roll-back", "nobody"), "There is no endpoint of 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_each_wrong_use_is_one_message_and_exit_code_2(other, arguments, words):
    said = other.optiflow(*arguments)
    assert said.code == 2
    assert words in said.err
    assert said.out == ""


def test_a_question_without_an_answer_changes_nothing(copy):
    before = files_of(copy, SHOP)
    said = copy.optiflow("delete", "orders", SHOP)  # no answer at all: standard input is empty
    assert said.code == 1
    assert files_of(copy, SHOP) == before
