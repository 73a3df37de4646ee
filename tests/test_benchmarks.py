"""The benchmarks at tiny sizes: they print what they promise, and both sides of a figure do the same work."""

import re
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import xgboost
from dagster._core.execution.plan import compute_generator

from benchmarks import (
    chain_run,
    dagster_overhead,
    enrichment,
    imports,
    jobs_tick,
    lake_s3,
    local_job,
    uploads_tick,
    uploads_tick_s3,
)
from benchmarks.__main__ import FIGURES
from benchmarks.aws_server import aws_server, make_bucket
from benchmarks.enrichment_inputs import SERIES_IDS
from benchmarks.figure import COLUMNS, Figure, header
from benchmarks.peers import empty_chain, list_bucket
from optiflow.artifact import extract_model
from optiflow.learners.xgboost import MODEL_FILE
from resources.aws.client import client
from resources.jobs.contract import JobKind
from resources.jobs.local import LocalJobs
from resources.lake import LakeIOManager

ROOT = Path(__file__).parents[1]


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_figure_is_a_line_of_six_columns_and_a_miss_is_exit_code_1() -> None:
    done = bench("--quick")
    first, *lines = done.stdout.splitlines()
    assert cells(first) == list(COLUMNS)
    assert [cells(line)[0] for line in lines] == [name for figures in FIGURES.values() for name in figures], done.stderr
    amount = r"\d+(\.\d+)?(e[+-]\d+)? (s|ms|GB|modules|calls)"
    for line in lines:
        _, ours, peer, ratio, target, ok = cells(line)
        assert re.fullmatch(amount, ours)
        assert re.fullmatch(amount, peer)
        assert re.fullmatch(r"\d+\.\d\d|-", ratio)
        assert re.fullmatch(rf"ratio [<>]= \d+(\.\d+)?|ours <= {amount}", target)
        assert ok in ("yes", "no")
    assert done.returncode == any(cells(line)[-1] == "no" for line in lines)
    by_name = {cells(line)[0]: cells(line) for line in lines}
    assert by_name["heavy-modules"][1:3] == ["0 modules", "0 modules"]


def test_one_figure_can_be_taken_alone_and_an_unknown_one_is_refused() -> None:
    lines = bench("--quick", "--only", "heavy-modules").stdout.splitlines()
    assert [cells(line)[0] for line in lines] == ["name", "heavy-modules"]
    refused = bench("--only", "nothing")
    assert refused.returncode == 2
    assert "enrichment-vs-plain" in refused.stderr


@pytest.mark.parametrize(
    ("ours", "peer", "bounds", "limit", "shown", "ok"),
    [
        (2, 30, "speedup", 15, "15.00", True),
        (2.01, 30, "speedup", 15, "14.93", False),
        (3, 2, "ratio", 1.5, "1.50", True),
        (3.1, 2, "ratio", 1.5, "1.55", False),
        (80, 1, "ours", 80, "80.00", True),
        (80.1, 1, "ours", 80, "80.10", False),
        (0, 0, "ours", 0, "-", True),
        (1, 0, "ours", 0, "-", False),
        (1, 0, "ratio", 2, "-", False),
    ],
)
def test_a_promise_is_kept_up_to_its_limit(ours, peer, bounds, limit, shown, ok) -> None:
    figure = Figure("name", ours, peer, "s", bounds, limit)
    assert figure.ok is ok
    line = figure.line()
    assert (cells(line)[3], cells(line)[5]) == (shown, "yes" if ok else "no")
    assert line.index(cells(line)[4]) == header().index("target")


def test_enrichment_sides_make_the_same_table(tmp_path) -> None:
    enrichment.write_inputs(tmp_path, rows=3_000)
    for side in enrichment.SIDES:
        assert enrichment.run_side(side, tmp_path).peak_bytes > 10_000_000
    ours = pl.read_parquet(tmp_path / "ours.parquet")
    plain = pl.read_csv(tmp_path / "plain.csv", try_parse_dates=True, infer_schema_length=None).sort("order_id")
    assert ours.equals(pl.read_parquet(tmp_path / "copy.parquet"))
    assert ours.columns == plain.columns == [*pl.read_parquet(tmp_path / "orders.parquet").columns, *SERIES_IDS]
    assert ours.equals(plain.select(pl.col(name).cast(dtype) for name, dtype in ours.schema.items()))


def test_a_training_job_and_its_peer_make_the_same_model(tmp_path) -> None:
    table, jobs = tmp_path / "train.parquet", LocalJobs(root=str(tmp_path / "jobs"))
    local_job.write_table(table, rows=500)
    assert local_job.train_ours(table, jobs, "ours", rounds=5) > 0
    assert local_job.train_peer(table, tmp_path / "peer.ubj", rounds=5) > 0
    state = jobs.describe("ours", JobKind.TRAINING)
    assert state is not None
    with jobs.output(state) as archive:
        extract_model(archive, tmp_path)
    features = pl.read_parquet(table).drop("target").to_pandas()
    ours, peer = (
        xgboost.Booster(model_file=str(tmp_path / model)).inplace_predict(features)
        for model in (MODEL_FILE, "peer.ubj")
    )
    assert ours.std() > 1
    assert ours == pytest.approx(peer, abs=1e-6)


def test_a_tick_sees_the_files_that_the_walk_sees_and_asks_for_the_new_one_alone(tmp_path) -> None:
    watched = uploads_tick.Watched(tmp_path, files=40)
    with dg.instance_for_test() as instance:
        assert watched.tick(instance) == []
        assert uploads_tick.walk(watched.folder) == 40
        (watched.folder / "late.csv").write_text("order_date,quantity\n")
        assert [request.partition_key for request in watched.tick(instance)] == ["late"]


def test_a_tick_over_a_bucket_and_both_of_its_peers_see_the_same_objects(tmp_path, instance) -> None:
    with aws_server() as server:
        watched = uploads_tick_s3.Watched(server, tmp_path, "listed", objects=1_030)
        last = watched.know_all()
        s3 = client("s3")
        assert watched.tick(instance, move=False) == []
        assert list_bucket.walk(s3, watched.bucket, watched.prefix) == 1_030
        assert list_bucket.objects_since(s3, watched.bucket, watched.prefix, last) == 0
        s3.put_object(Bucket=watched.bucket, Key=f"{watched.prefix}late.csv", Body=b"x")
        for _ in range(2):
            assert [request.partition_key for request in watched.tick(instance, move=False)] == ["late"]


def test_the_tick_over_running_jobs_lists_them_and_its_peer_describes_each(tmp_path, instance) -> None:
    with aws_server() as server:
        running = jobs_tick.Running(server, tmp_path, instance, jobs=101)
        assert running.tick_cost(instance)[0] == 2
        assert {call["operation"] for call in server.requests()} == {"sagemaker:ListTrainingJobs"}
        assert running.describe_cost()[0] == 101


def test_both_sides_write_the_same_table_to_the_lake_and_read_all_of_it(tmp_path) -> None:
    file = tmp_path / "table.parquet"
    lake_s3.write_table(file, rows=1_000)
    assert file.stat().st_size > 0.9 * 1_000 * lake_s3.ROW_BYTES
    with aws_server():
        bucket = make_bucket()
        for side in lake_s3.SIDES:
            lake_s3.transfer(side, "write", file, bucket)
            assert lake_s3.transfer(side, "read", file, bucket)["rows"] == 1_000
            written = client("s3").get_object(Bucket=bucket, Key=f"lake/{side}.parquet")["Body"].read()
            assert pl.read_parquet(written).equals(pl.read_parquet(file))


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_bodies_of_assets_and_checks_are_work_and_what_surrounds_them_is_overhead(monkeypatch, instance) -> None:
    @dg.asset(partitions_def=empty_chain.PARTITIONS)
    def slow() -> dg.MaterializeResult:
        busy(0.2)
        return dg.MaterializeResult()

    @dg.asset_check(asset=slow)
    def slower() -> dg.AssetCheckResult:
        busy(0.3)
        return dg.AssetCheckResult(passed=True)

    def build() -> dg.Definitions:
        busy(0.4)
        job = dg.define_asset_job("job", [slow])
        return dg.Definitions(assets=[slow], asset_checks=[slower], jobs=[job], executor=dg.in_process_executor)

    monkeypatch.setattr(compute_generator, "invoke_compute_fn", compute_generator.invoke_compute_fn)
    chain_run.time_bodies()
    instance.add_dynamic_partitions(str(empty_chain.PARTITIONS.name), ["a"])
    run = chain_run.run_once(build, "job", "a", instance)
    assert run.assets == 1
    assert run.work_seconds >= 0.5
    assert run.wall_seconds > 0.4 + run.work_seconds
    assert dagster_overhead.milliseconds_per_asset(asdict(run)) > 400


def test_the_empty_chain_is_as_large_as_ours(definitions) -> None:
    ours = definitions.resolve_job_def("orders_job").asset_layer
    empty = empty_chain.empty_chain(10, chain_run.CHECKS).resolve_job_def(empty_chain.JOB).asset_layer
    assert len(ours.selected_asset_keys) == len(empty.selected_asset_keys)
    assert len(ours.asset_graph.asset_check_keys) == len(empty.asset_graph.asset_check_keys)


def test_what_the_lake_does_is_work() -> None:
    for name in ("handle_output", "load_input"):
        assert vars(chain_run.TimedLake)[name] is not vars(LakeIOManager)[name]
    watch = chain_run.Stopwatch()
    assert watch.timed(lambda seconds: busy(seconds) or "result")(0.1) == "result"
    assert watch.seconds >= 0.1


def test_heavy_modules_are_those_that_the_linter_bans_and_are_seen_when_loaded() -> None:
    assert {"xgboost", "pandas", "boto3"} <= imports.heavy_modules()
    loaded = imports.fresh_python("-c", "import fredapi" + imports.SHOW_MODULES).output.split()
    assert {"fredapi", "pandas"} <= imports.heavy_modules() & set(loaded)
