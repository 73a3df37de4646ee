"""Bad input: one message that says what to do, nothing lost, nothing half-written, and it works once it is mended."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
import yaml
from fred_server import Fault, FredServer
from orders_files import ALSO_BAD, BAD, OPTIONS, SOUND, csv
from project import ROOT, Project, assert_lake_is_whole, failure, fresh_project, metadata

from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors.uploads_decision import Position, choose_uploads
from resources.fred import FredResource
from resources.fred.http import ATTEMPTS
from resources.http_retries import Timing
from resources.jobs.contract import JobState
from resources.landing import pair_files
from resources.settings import load_settings
from resources.storage import FileStorage

KEY = "0123456789abcdef0123456789abcdef"  # pragma: allowlist secret
LONG_NAME = "Bestellungen für März, Süd & Nord … " + "x" * 160 + ".csv"
EVERY = {**BAD, **ALSO_BAD}
NEW = "Never Seen Before"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with fresh_project(tmp_path_factory.mktemp("bad")) as project:
        yield project


@pytest.fixture(autouse=True)
def empty_landing_folder(project: Project) -> Iterator[None]:
    yield
    for path in project.uploads.iterdir():
        path.unlink()


@pytest.mark.parametrize("case", EVERY)
def test_a_wrong_file_is_refused_at_the_door_and_welcome_once_it_is_mended(project, tmp_path, case):
    bad = EVERY[case]
    source, options = tmp_path / bad.name, tmp_path / f"{bad.name}.options.yaml"
    source.write_bytes(bad.data)
    options.write_text(yaml.safe_dump(bad.options))
    said = project.optiflow("upload", source, "--pipeline", "orders")
    assert said.code == 2
    assert said.out == ""
    assert [word for word in bad.words if word not in said.err] == []
    assert list(project.uploads.iterdir()) == []
    assert source.read_bytes() == bad.data

    source.write_bytes(csv() if bad.mended is None else bad.mended)
    options.write_text(yaml.safe_dump(bad.mended_options))
    assert project.optiflow("upload", source, "--pipeline", "orders").code == 0
    assert (project.uploads / bad.name).read_bytes() == source.read_bytes()


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_that_was_dropped_stays_says_the_same_and_trains_once_it_is_mended(project, case):
    bad = BAD[case]
    path, jobs = project.drop(bad.name, bad.data, bad.options), project.job_names()
    kind, message = failure(project.run("orders_job", "orders"))
    assert kind == "input"
    assert [word for word in bad.words if word not in message] == []
    assert path.read_bytes() == bad.data
    assert project.job_names() == jobs
    assert_lake_is_whole(project.work)

    project.drop(bad.name, csv() if bad.mended is None else bad.mended, bad.mended_options)
    done = project.run("orders_training_job", "orders")
    assert done.success
    assert metadata(done, "upload")["rows_in"] == SOUND.height


def test_the_options_file_that_the_message_shows_is_the_one_to_write(project):
    project.drop("orders.csv", csv(), {})
    said = project.optiflow("run", "orders", "orders")
    assert said.code == 2
    shown = said.err.split("Write into orders.csv.options.yaml:\n")[1]
    lines = itertools.takewhile(lambda line: line.startswith("  "), shown.splitlines())
    (project.uploads / "orders.csv.options.yaml").write_text("\n".join(line.strip() for line in lines))
    assert project.run("orders_training_job", "orders").success


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("..orders.csv", "would be passed over"),
        ("---.csv", "no letter or digit"),
        ("x" * 240 + ".csv", "the name is longer than 242 bytes"),
        ("orders.docx", "use one of .csv"),
        (".csv", "would be passed over"),
    ],
)
def test_a_name_that_cannot_be_a_dataset_is_refused(project, tmp_path, name, words):
    (tmp_path / name).write_bytes(csv())
    said = project.optiflow("upload", tmp_path / name, "-p", "orders", "--target", "quantity")
    assert said.code == 2
    assert words in said.err
    assert list(project.uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("a,b;c d.csv", "a-b-c-d"),
        ("Größe ÀÉ.CSV", "groe-ae"),
        ("x" * 200 + ".csv", "x" * 33 + "-aa20c2"),
        ("注文.csv", "data-266125"),
        ("2024...Q1.csv", "2024-q1"),
        ("-rf.csv", "rf"),
    ],
)
def test_a_strange_name_becomes_a_plain_dataset_id(project, tmp_path, name, dataset):
    (tmp_path / name).write_bytes(csv())
    said = project.optiflow("upload", tmp_path / name, "-p", "orders", "--target", "quantity")
    assert said.code == 0
    assert f"Uploaded as dataset {dataset}." in said.out
    assert (project.uploads / name).read_bytes() == csv()


def test_new_categories_in_the_test_rows_are_counted_and_predicted_whatever_the_files_name(project):
    last = pl.int_range(pl.len()) >= SOUND.height * 0.9
    table = SOUND.with_columns(product=pl.when(last).then(pl.lit(NEW)).otherwise("product"))
    project.drop(LONG_NAME, table, OPTIONS)
    dataset = "bestellungen-fur-marz-sud-nord-xxxxxxxxx"
    assert project.run("orders_job", dataset).success
    report = project.report(dataset)
    predictions = project.table("predictions", dataset)
    assert report["unseen_categories"] == {"product": 24}
    assert predictions["predicted"].is_finite().all()
    assert predictions.height == report["rows"]["test"] == 48
    assert "never seen in training" in project.path("mse_report", dataset, "/report.md").read_text()


def test_a_growing_file_is_not_taken_until_it_is_left_alone(project):
    settle = 2_000_000_000
    path, taken = project.uploads / "orders.csv", []

    def tick(after_ns: int) -> list[str]:
        nonlocal position
        files = pair_files(project.adapters.storage.list("uploads/orders"))
        now = max(file.changed_ns for file in files) + after_ns
        decision = choose_uploads(files, position, now_ns=now, settle_ns=settle, limit=10)
        position = decision.position
        taken.extend(upload.file.table.size for upload in decision.take)
        return [file.name for file in decision.waiting]

    position = Position()
    path.touch()
    assert tick(settle * 100) == ["orders.csv"]
    half = len(csv()) // 2
    for part in (csv()[:half], csv()[half:]):
        with path.open("ab") as file:
            file.write(part)
        assert tick(settle - 1) == ["orders.csv"]
        assert taken == []
    assert tick(settle) == []
    assert tick(settle * 2) == []
    assert taken == [len(csv())]


def test_a_file_that_is_written_to_while_it_is_read_is_not_used(project):
    class Growing(FileStorage):
        @contextmanager
        def local_copy(self, key: str) -> Iterator[Path]:
            yield self.path(key)
            with self.path(key).open("ab") as file:
                file.write(b"ORD-9")

    definitions = build_definitions(project.settings, storage=Growing(uri=project.settings.storage_uri))
    project.drop("growing.csv", csv(), OPTIONS)
    kind, message = failure(project.run("orders_training_job", "growing", definitions))
    assert kind == "transient"
    assert "growing.csv changed while it was read" in message
    assert project.adapters.catalog.open().dataset("orders", "growing") is None

    project.drop("growing.csv", csv(), OPTIONS)
    assert project.run("orders_training_job", "growing").success


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock by which retries wait runs ahead instead; returns what was waited for, in seconds."""
    waited: list[float] = []
    timing = Timing(
        sleep=waited.append, monotonic=lambda: 2e9 + sum(waited), now=lambda: 2e9 + sum(waited), random=lambda: 0.5
    )
    monkeypatch.setattr(FredResource, "timing", property(lambda self: timing))
    return waited


FAULTS = {
    "s400": (Fault(400, b'<error code="400" message="Bad Request.  Variable limit is wrong."/>'), 2, "Variable limit"),
    "s429": (Fault(429, b'<error code="429" message="Too Many Requests."/>'), 1, "429 Too Many Requests"),
    "s500": (Fault(500), 1, "FRED answered 500"),
    "garbage": (Fault(200, b"<html>Under maintenance</html>"), 1, "not FRED's XML"),
    "hang-up": (Fault(0), 1, "no answer from"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_fred_says_instead_of_figures_is_told_and_costs_nothing(project, tmp_path, no_waiting, case):
    fault, code, words = FAULTS[case]
    series = case.upper().replace("-", "_")
    months = pl.date_range(pl.date(2008, 1, 1), pl.date(2017, 1, 1), "1mo", eager=True)
    pl.DataFrame({"observation_date": months, series: range(len(months))}).write_csv(tmp_path / f"{series}.csv")
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / f"{case}.csv"
    source.write_bytes(csv())
    with FredServer(tmp_path) as server:
        fred = {"FRED_API_KEY": KEY, "OPTIFLOW_FRED_URL": server.url}
        upload = ("upload", source, "-p", "orders", "--target", "quantity", "--series", series)
        server.faults.extend([fault] * ATTEMPTS)
        said = project.optiflow(*upload, **fred)
        server.faults.clear()
        assert said.code == code
        assert words in said.err
        assert KEY not in said.shown
        assert list(project.uploads.iterdir()) == []

        path = project.drop(source.name, csv(), {**OPTIONS, "fred_series": [series]})
        settings = load_settings(home=project.home, FRED_API_KEY=KEY, fred_url=server.url)
        definitions = build_definitions(settings)
        server.faults.extend([fault] * ATTEMPTS)
        kind, message = failure(project.run("orders_training_job", case, definitions))
        server.faults.clear()
        assert kind == {1: "transient", 2: "input"}[code]
        assert words in message
        assert path.read_bytes() == csv()
        assert not list((project.work / "lake" / "fred").rglob(f"{series}*"))
        assert_lake_is_whole(project.work)

        assert project.optiflow(*upload, **fred).code == 0
        done = project.run("orders_training_job", case, definitions)
        assert done.success
        assert project.table("enriched", case)[series].null_count() == 0
    assert bool(no_waiting) == (code == 1)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ("LATE", "FRED series LATE was first published on 2020-02-15, after every order"),
        ("NOSUCH", "NOSUCH does not exist on FRED: check the spelling"),
    ],
)
def test_a_series_that_cannot_help_is_named(project, tmp_path, no_waiting, series, words):
    (tmp_path / "LATE.csv").write_text("observation_date,LATE\n2020-01-01,1\n2020-02-01,2\n2020-03-01,3\n")
    path = project.drop("orders.csv", csv(), {**OPTIONS, "fred_series": [series]})
    with FredServer(tmp_path) as server:
        settings = load_settings(home=project.home, FRED_API_KEY=KEY, fred_url=server.url)
        kind, message = failure(project.run("orders_job", "orders", build_definitions(settings)))
    assert kind == "input"
    assert words in message
    assert path.read_bytes() == csv()
    assert_lake_is_whole(project.work)
    project.drop("orders.csv", csv(), OPTIONS)
    assert project.run("orders_training_job", "orders").success


def kill_the_training(project: Project, dataset: str) -> None:
    """End the program that trains with SIGKILL, once it has told of a round."""
    jobs = project.adapters.jobs
    pause = threading.Event()
    while not (found := [state for state in jobs.list_active() if f"-{dataset}-training-" in state.name]):
        pause.wait(0.02)

    def kill(state: JobState, line: str) -> None:
        if "train-rmse" not in line:
            return
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if "optiflow.container" in command and state.name in command:
                os.kill(int(entry.name), signal.SIGKILL)

    jobs.wait(found[0].name, found[0].kind, on_progress=kill)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the training process by /proc")
def test_a_killed_training_process_is_told_and_the_same_command_works_afterwards(project):
    endless = {"num_round": 1_000_000, "early_stopping_rounds": 1_000_000, "max_depth": 2}
    path = project.drop("killed.csv", csv(), {**OPTIONS, "hyperparameters": endless})
    killer = threading.Thread(target=kill_the_training, args=(project, "killed"), daemon=True)
    killer.start()
    said = project.optiflow("run", "orders", "killed")
    killer.join(timeout=30)
    assert said.code == 1
    assert "the job's process was killed by SIGKILL" in said.err
    assert "Run it again" in said.err
    assert path.read_bytes() == csv()
    assert_lake_is_whole(project.work)
    assert not list((project.work / "lake" / "orders" / "model" / "killed").rglob("model.tar.gz"))

    project.drop("killed.csv", csv(), OPTIONS)
    assert project.optiflow("run", "orders", "killed").code == 0
    states = [
        j["status"] for j in json.loads(project.optiflow("status", "--json").out)["jobs"] if "killed" in j["name"]
    ]
    assert sorted(states) == ["Completed", "Completed", "Failed"]


def may_mount() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    tried = subprocess.run([unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


def in_own_mounts(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("OPTIFLOW_", "FRED_", "DAGSTER_"))}
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.run(
        ["unshare", "-rm", *map(str, command)],
        env=bare | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(not may_mount(), reason="this kernel lets nobody mount a small disk (unshare -rm)")
def test_a_full_disk_is_told_leaves_nothing_half_written_and_once_there_is_room_it_works(tmp_path):
    done = in_own_mounts(sys.executable, ROOT / "tests" / "full_disk.py", tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    for said in seen["full"]:
        assert said["code"] == 1
        assert "No space left while writing file://" in said["err"]
        assert "free some space, then run again" in said["err"]
        assert said["upload_is_whole"]
    assert seen["works_again"]


@pytest.mark.skipif(not may_mount(), reason="this kernel lets nobody mount a small disk (unshare -rm)")
def test_a_disk_too_full_for_the_databases_is_told_without_a_stack_trace(tmp_path):
    program = "from optiflow_dagster.cli import main; main()"
    script = (
        f"mount -t tmpfs -o size=100k tmpfs {tmp_path} && cp {ROOT}/dagster.yaml {tmp_path} && "
        f"mkdir -p {tmp_path}/.optiflow/uploads/orders && echo a,b > {tmp_path}/.optiflow/uploads/orders/orders.csv && "
        f"OPTIFLOW_HOME={tmp_path} {sys.executable} -c '{program}' run orders orders"
    )
    done = in_own_mounts("sh", "-c", script)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("Error: The database cannot be used")
    assert "If the disk is full, free some space" in done.stderr
