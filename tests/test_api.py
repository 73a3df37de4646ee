"""OptiFlow from Python: the steps in this process give what the chain gives, and the page that explains them runs."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from project import FAST, OPTIONS, ROOT, Project, fresh_project

from optiflow.api import TrainedRun, read_file, train
from optiflow.errors import UserError
from optiflow.pipelines.orders import sample as samples
from optiflow.pipelines.stock_movements import sample as movements
from optiflow.report.model import report_to_json
from resources.installation import Installation

ORDERS = samples.orders(rows=400, seed=5)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with fresh_project(tmp_path_factory.mktemp("api")) as project:
        project.drop("shop.csv", ORDERS, OPTIONS)
        assert project.run("orders_job", "shop").success
        yield project


@pytest.fixture(scope="module")
def run(project: Project) -> TrainedRun:
    return train(read_file(project.uploads / "shop.csv", "orders"))


def test_rows_options_and_faults_are_those_of_the_chain(project, run):
    assert_frame_equal(run.file.rows, project.table("upload", "shop"))
    assert_frame_equal(run.file.rejected, project.table("rejected", "shop"))
    assert run.file.options == project.adapters.catalog.open().dataset("orders", "shop").options


def test_the_model_and_its_predictions_are_those_of_the_job(project, run):
    theirs = project.table("predictions", "shop").drop("model")
    assert_frame_equal(run.results["predictions"], theirs, rel_tol=1e-6)
    ours = run.report()
    report = project.report("shop")
    assert ours.metrics["mse"] == pytest.approx(report["metrics"]["mse"], rel=1e-6)
    assert ours.skill == pytest.approx(report["skill"], rel=1e-6)
    assert (ours.verdict, ours.best_baseline) == (report["verdict"], report["best_baseline"])
    told = (
        "rows",
        "features",
        "left_out",
        "rejected",
        "series",
        "train_period",
        "test_period",
        "unseen_categories",
        "notes",
    )
    mine = json.loads(report_to_json(ours))
    assert {name: mine[name] for name in told} == {name: report[name] for name in told}
    assert mine["job"]["rounds"] == report["job"]["rounds"]


def test_the_page_is_a_page_with_plots(run, tmp_path):
    page = run.save_page(tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "data:image/" in page or "<svg" in page


def test_a_pipeline_whose_results_have_no_truth_is_described(tmp_path):
    movements.stock_movements(rows=1500, seed=3).write_csv(tmp_path / "moves.csv")
    made = train(read_file(tmp_path / "moves.csv", "stock_movements"))
    assert made.report().outcome == "described"
    scored = made.results["predictions"]
    assert scored["row"].to_list() == made.file.rows["row"].to_list()
    assert 0 < scored["is_anomaly"].sum() < 0.05 * scored.height


def test_cancelled_movements_are_left_out_and_not_rejected_and_the_page_has_the_whole_table(tmp_path):
    rows = movements.stock_movements(rows=400, seed=3).with_row_index()
    status = pl.when(pl.col("index") % 20 == 0).then(pl.lit("cancelled")).otherwise(pl.lit("done"))
    rows.with_columns(status=status).drop("index").write_csv(tmp_path / "moves.csv")
    made = train(read_file(tmp_path / "moves.csv", "stock_movements"))
    facts = made.report().rows
    rejected = made.file.upload.rejected["row"].n_unique()
    assert made.file.upload.left_out == 20
    assert (facts.uploaded, facts.rejected) == (400, rejected - 20)
    page = made.save_page(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "More than a spreadsheet can hold." not in page
    assert "data:text/csv;charset=utf-8;base64," in page
    assert {path.name for path in tmp_path.iterdir()} == {"moves.csv", "page.html"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("shop.csv.options.yaml", "target: Stück".encode("cp1252"), "shop.csv.options.yaml: not UTF-8 text"),
        ("shop.csv.options.yaml", b"#" * 200_000, "longer than 64 KB"),
        ("shop.csv.options.yml", b"target: quantity", "rename it to shop.csv.options.yaml"),
        ("shop.csv.options.yaml", b"tarjet: quantity", "shop.csv.options.yaml: unknown key 'tarjet'"),
    ],
)
def test_options_beside_a_file_are_read_as_the_command_reads_them(tmp_path, name, content, words):
    ORDERS.write_csv(tmp_path / "shop.csv")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(words)):
        read_file(tmp_path / "shop.csv", "orders", date_column="order_date")


def test_options_given_by_name_lie_over_those_of_the_file_beside(tmp_path):
    path = tmp_path / "shop.csv"
    ORDERS.write_csv(path)
    path.with_name("shop.csv.options.yaml").write_text("target: quantity\ndate_column: order_date\nsplit: {seed: 7}\n")
    options = read_file(path, "orders", split={"test_fraction": 0.3}, hyperparameters=FAST).options
    assert (options.split.test_fraction, options.split.seed) == (0.3, 7)
    assert options.hyperparameters == {name: str(value) for name, value in FAST.items()}


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("nowhere.csv", "orders"), {}, "nowhere.csv is not a file"),
        (("shop.csv", "ordrs"), {}, "There is no pipeline 'ordrs'"),
        (("shop.csv", "orders"), {"target": "quantitty"}, "Did you mean 'quantity'?"),
        (("shop.csv", "orders"), {"tarjet": "quantity"}, "unknown key 'tarjet'"),
    ],
)
def test_what_the_user_can_mend_is_said(tmp_path, monkeypatch, arguments, options, words):
    monkeypatch.chdir(tmp_path)
    ORDERS.write_csv("shop.csv")
    with pytest.raises(UserError, match=re.escape(words)):
        read_file(*arguments, **options)


def test_a_series_that_is_not_bundled_is_asked_for(tmp_path):
    ORDERS.write_csv(tmp_path / "shop.csv")
    file = read_file(tmp_path / "shop.csv", "orders", target="quantity", date_column="order_date", fred_series=["EGGS"])
    with pytest.raises(UserError, match="EGGS is not bundled: give the figures as `observations`"):
        train(file)


def test_an_installation_is_read_and_what_is_not_there_is_told(project):
    here = Installation.at(project.home)
    (record,) = here.datasets()
    assert_frame_equal(here.result("orders", "shop", "predictions").collect(), project.table("predictions", "shop"))
    assert here.report("orders", "shop", record.revision[:4]) == project.report("shop")
    (model,) = here.models("orders", "shop")
    with here.model_files(model) as folder:
        assert "xgboost-model" in {path.name for path in folder.iterdir()}
    assert here.models("orders", "other") == here.datasets("turnover") == []
    for asked, words in (
        (("orders", "shop", "forecast"), "orders has no table 'forecast': use one of predictions, upload"),
        (("orders", "shap", "predictions"), "There is no dataset 'shap' in orders. Datasets: shop."),
        (("orders", "shop", "predictions", "beef"), "orders shop has no revision 'beef'"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            here.result(*asked)


def test_a_folder_without_an_installation_is_refused_and_stays_empty(tmp_path):
    with pytest.raises(UserError, match="There is no OptiFlow in"):
        Installation.at(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_page_on_notebooks_runs_from_top_to_bottom(project, capsys):
    cells = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(), re.DOTALL)
    assert len(cells) == 4
    names: dict[str, object] = {}
    with contextlib.chdir(project.home):
        for cell in cells:
            exec(compile(cell, "docs/notebook.md", "exec"), names)
    said = capsys.readouterr().out
    assert "Did you mean 'quantity'?" in said
    assert "xgboost-model" in said
    assert Path(project.home, "try", "report.html").is_file()
    assert isinstance(names["file"].rows, pl.DataFrame)
