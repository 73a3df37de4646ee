"""The packed source, run as SageMaker runs it, by an interpreter that has what AWS's XGBoost image has and no more."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import botocore.session
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optiflow.artifact import MODEL_ARCHIVE, pack_model
from optiflow.container.__main__ import main
from optiflow.pipelines import PIPELINES
from resources.jobs import source
from resources.storage import FileStorage

IMAGE = Path(__file__).resolve().parents[1] / ".venv-image" / "bin"
PARAMS = {"num_round": "15", "eta": "0.3", "max_depth": "4", "nthread": "1", "objective": "reg:squarederror"}
IN_IMAGE = {"joblib", "numpy", "pandas", "pyarrow", "sagemaker_inference", "scipy", "sklearn", "xgboost"}
MISSING = ("dagster", "boto3", "botocore", "sagemaker", "polars", "pydantic", "resources", "assets")
"""What the image lacks, and what therefore no job may even try to import."""


@pytest.fixture(scope="module")
def image() -> Path:
    """The folder of the interpreter that stands for AWS's image."""
    if not (IMAGE / "python3").exists():
        pytest.fail(f"{IMAGE.parent} is missing: run `make setup`, which makes it.")
    return IMAGE


def run(command: list[str], base: Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run with nothing of this process's environment but what SageMaker sets too."""
    environment = {"PATH": f"{IMAGE}{os.pathsep}/usr/bin{os.pathsep}/bin", "SAGEMAKER_BASE_DIR": str(base)}
    return subprocess.run(
        command, env=environment | variables, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


def tried_imports(profile: str) -> set[str]:
    """Top-level names of all modules that were imported or looked for, out of what PYTHONPROFILEIMPORTTIME prints."""
    lines = [line for line in profile.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def table(rows: int, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    features = {name: generator.random(rows) for name in ("a", "b", "c")}
    holes = pa.array(generator.random(rows), mask=generator.random(rows) < 0.2)
    return pa.table({"y": features["a"] * 3 + generator.normal(0, 0.1, rows), **features, "holes": holes})


def write_job(base: Path, params: dict[str, str], hosts: int = 1) -> Path:
    """The folders of a training job below `base`."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    for folder in ("model", "output"):
        (base / folder).mkdir()
    types = {name: {"ContentType": "application/x-parquet"} for name in ("train", "validation")}
    names = [f"algo-{number + 1}" for number in range(hosts)]
    (config / "hyperparameters.json").write_text(json.dumps(params))
    (config / "inputdataconfig.json").write_text(json.dumps(types))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": names}))
    for seed, name in enumerate(types):
        (base / "input" / "data" / name).mkdir(parents=True)
        pq.write_table(table(300, seed), base / "input" / "data" / name / "part.parquet")
    return base


def train_in_script_mode(base: Path, hosts: int = 1) -> subprocess.CompletedProcess[str]:
    """What SageMaker's toolkit does with the archive; the hyperparameters are quoted as by SageMaker's Python SDK."""
    theirs = source.script_mode("s3://bucket/lake/code/x/sourcedir.tar.gz")
    theirs |= {"sagemaker_container_log_level": "20", "sagemaker_region": '"eu-west-1"'}
    write_job(base, {name: json.dumps(value) for name, value in PARAMS.items()} | theirs, hosts)
    unpack(source.pack_source(), base / "code")
    arguments = [part for name, value in PARAMS.items() for part in (f"--{name}", value)]
    command = ["python3", "-m", "optiflow_job", *arguments]
    return run(command, base, base / "code", PYTHONPROFILEIMPORTTIME="1", PYTHONDONTWRITEBYTECODE="1")


def unpack(archive: bytes, folder: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def processing_job(root: Path, model: Path, rows: pa.Table, archive: bytes) -> list[str]:
    """The folders of a scoring job below `root`, and its command."""
    for name in source.INPUTS:
        Path(source.input_folder(name, str(root))).mkdir(parents=True)
    Path(source.output_folder(str(root))).mkdir()
    (root / "input" / "source" / source.ARCHIVE).write_bytes(archive)
    shutil.copy(model, root / "input" / "model" / MODEL_ARCHIVE)
    pq.write_table(rows.slice(0, 70), root / "input" / "transform" / "a.parquet")
    pq.write_table(rows.slice(70), root / "input" / "transform" / "b.parquet")
    entrypoint, arguments = source.scoring_command("application/x-parquet", str(root))
    return [*entrypoint, *arguments]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that was trained and scored here, by the program of a local job."""
    base = write_job(tmp_path_factory.mktemp("own"), PARAMS)
    assert main(["train", "--prefix", str(base)]) == 0
    rows = table(100, seed=7).drop_columns(["y"])
    (base / "input" / "data" / "transform").mkdir()
    pq.write_table(rows.slice(0, 70), base / "input" / "data" / "transform" / "a.parquet")
    pq.write_table(rows.slice(70), base / "input" / "data" / "transform" / "b.parquet")
    assert main(["transform", "--prefix", str(base)]) == 0
    pack_model(base / "model", base / MODEL_ARCHIVE)
    return base


def predictions(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.out")}


def test_the_clean_interpreter_has_xgboost_pandas_sklearn_and_pyarrow_but_nothing_of_ours(image, tmp_path):
    code = "import sys\nfor n in sys.argv[1:]:\n try: __import__(n)\n except ModuleNotFoundError: print(n)"
    names = ["xgboost", "pandas", "sklearn", "pyarrow", "optiflow", *MISSING]
    told = run(["python3", "-I", "-c", code, *names], tmp_path, tmp_path)
    assert told.stdout.split() == ["optiflow", *MISSING], told.stderr


def test_the_packed_source_trains_in_script_mode_and_scores_in_processing_as_a_local_job_does(image, own, tmp_path):
    base = tmp_path / "ml"
    trained = train_in_script_mode(base)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert "[14]\ttrain-rmse:" in trained.stdout
    assert (base / "model" / "xgboost-model").read_bytes() == (own / "model" / "xgboost-model").read_bytes()
    ours = json.loads((own / "output" / "data" / "metrics.json").read_text())
    assert json.loads((base / "output" / "data" / "metrics.json").read_text()) == ours

    pack_model(base / "model", base / MODEL_ARCHIVE)
    rows = table(100, seed=7).drop_columns(["y"])
    command = processing_job(tmp_path / "processing", base / MODEL_ARCHIVE, rows, source.pack_source())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    scored = run(command, base, elsewhere, PYTHONPROFILEIMPORTTIME="1")
    assert scored.returncode == 0, scored.stderr[-2000:]
    expected = predictions(own / "output" / "data")
    assert sorted(expected) == ["a.parquet.out", "b.parquet.out"]
    assert predictions(tmp_path / "processing" / "output") == expected
    for profile in (trained.stderr, scored.stderr):
        assert {"optiflow", "xgboost", "pyarrow"} <= tried_imports(profile)
        assert tried_imports(profile).isdisjoint(MISSING)


def test_several_hosts_in_script_mode_are_refused_with_what_to_do_instead(image, tmp_path):
    refused = train_in_script_mode(tmp_path, hosts=2)
    failure = (tmp_path / "output" / "failure").read_text()
    assert refused.returncode == 1
    assert failure.startswith("the job has 2 hosts, but this program trains on one: set the instance count to 1")
    assert failure in refused.stderr
    assert list((tmp_path / "model").iterdir()) == []


def test_a_scoring_job_tells_its_failure_in_the_exit_message_and_trusts_no_archive(image, tmp_path):
    bad = tmp_path / "bad.tar.gz"
    with tarfile.open(bad, "w:gz") as tar:
        for name in ("xgboost-model", "../outside"):
            tar.addfile(tarfile.TarInfo(name))
    rows = table(100, seed=7).drop_columns(["y"])
    command = processing_job(tmp_path / "processing", bad, rows, source.pack_source())
    assert run(command, tmp_path / "ml", tmp_path).returncode == 1
    said = (tmp_path / "ml" / "output" / "message").read_text()
    assert said == "model.tar.gz is refused: member '../outside' leads out of the archive."
    assert not list((tmp_path / "processing" / "output").iterdir())


def test_a_scoring_job_installs_the_packed_requirements_first(image, own, tmp_path):
    wheel = tmp_path / "extra-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("extra.py", "")
        file.writestr("extra-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
        file.writestr("extra-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("extra-1.0.dist-info/RECORD", "")
    pip = {"PIP_TARGET": str(tmp_path / "installed"), "PIP_NO_INDEX": "1"}
    rows = table(100, seed=7).drop_columns(["y"])
    model = own / MODEL_ARCHIVE
    command = processing_job(tmp_path / "good", model, rows, source.pack_source([str(wheel)]))
    done = run(command, tmp_path / "ml", tmp_path, **pip)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "installed" / "extra.py").exists()
    assert predictions(tmp_path / "good" / "output") == predictions(own / "output" / "data")

    command = processing_job(tmp_path / "bad", model, rows, source.pack_source(["not-to-be-had==1"]))
    assert run(command, tmp_path / "ml", tmp_path, **pip).returncode == 1
    assert "pip could not install the packed requirements.txt" in (tmp_path / "ml" / "output" / "message").read_text()


def test_the_name_of_a_models_archive_is_written_in_one_place_alone():
    written, root = [], Path(__file__).parents[1]
    for package in ("optiflow", "resources", "assets", "optiflow_dagster"):
        for path in (root / package).rglob("*.py"):
            constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
            written += [path.relative_to(root).as_posix() for value in constants if value == MODEL_ARCHIVE]
    assert written == ["optiflow/artifact.py"]


def test_the_archive_holds_the_entry_point_and_what_it_needs_and_no_more(tmp_path):
    names = [str(p.relative_to(tmp_path)) for p in unpack(source.pack_source(), tmp_path).rglob("*") if p.is_file()]
    assert {"optiflow_job.py", "optiflow/container/job.py", "optiflow/learners/xgboost.py"} <= set(names)
    assert all(name.endswith(".py") and "__pycache__" not in name for name in names)
    ours = {name.split("/")[1] for name in names if name.startswith("optiflow/")}
    assert ours == {"__init__.py", "artifact.py", "disk.py", "errors.py", "container", "learners"}


def test_the_archive_is_python_of_the_oldest_image_and_imports_only_what_is_there(tmp_path):
    folder = unpack(source.pack_source(), tmp_path)
    third_party = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), path.name, feature_version=(3, 10))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                module = folder / name.replace(".", "/")
                assert not name.startswith("optiflow") or module.is_dir() or module.with_suffix(".py").is_file(), name
                third_party.add(name.partition(".")[0])
    asked_for = {re.split(r"[<>=]", line)[0] for p in PIPELINES.values() for line in p.requirements}
    assert third_party - set(sys.stdlib_module_names) - {"optiflow"} <= IN_IMAGE | asked_for


def test_equal_code_and_requirements_give_equal_bytes_whatever_the_files_times(tmp_path, monkeypatch):
    copied = Path(shutil.copytree(Path(source.optiflow.__file__).parent, tmp_path / "optiflow"))
    first = source.pack_source(["b", "a"])
    monkeypatch.setattr(source.optiflow, "__file__", str(copied / "__init__.py"))
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    (copied / "container" / "data.csv").write_text("1")
    (copied / "container" / "__pycache__").mkdir(exist_ok=True)
    (copied / "container" / "__pycache__" / "job.cpython-310.pyc").write_text("1")
    assert source.pack_source(["a", "b"]) == first
    assert source.pack_source(["a"]) != first
    (copied / "errors.py").write_text("changed = 1")
    assert source.pack_source(["a", "b"]) != first


def test_requirements_are_in_the_archive_only_if_there_are_some(tmp_path):
    assert not (unpack(source.pack_source(), tmp_path / "none") / "requirements.txt").exists()
    some = unpack(source.pack_source(["skops>=0.11", "lightgbm>=4.5"]), tmp_path / "some")
    assert (some / "requirements.txt").read_text() == "lightgbm>=4.5\nskops>=0.11\n"


def test_the_archive_is_filed_once_under_its_content(tmp_path):
    storage = FileStorage(uri=tmp_path.as_uri())
    uri = source.put_source(storage)
    [path] = (tmp_path / "lake" / "code").glob("*/sourcedir.tar.gz")
    assert uri == path.as_uri()
    assert len(path.parent.name) == 12
    assert path.read_bytes() == source.pack_source()
    before = path.stat().st_ino, path.stat().st_mtime_ns
    assert source.put_source(storage) == uri
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before
    assert source.put_source(storage, ["skops"]) != uri


def test_the_command_of_a_scoring_job_is_within_sagemakers_limits():
    model = botocore.session.get_session().get_service_model("sagemaker").shape_for("AppSpecification")
    for name, parts in zip(
        ("ContainerEntrypoint", "ContainerArguments"), source.scoring_command("text/csv"), strict=True
    ):
        limit = model.members[name].member.metadata["max"]
        assert all(len(part) <= limit and "\n" not in part for part in parts)


def test_sagemakers_own_hyperparameters_and_quotes_never_reach_the_learner(tmp_path):
    from optiflow.container.layout import Layout

    given = {"eta": '"0.3"', "objective": "reg:squarederror", "monotone_constraints": "(1,0)", "seed": 7, "bad": '"x'}
    write_job(tmp_path, given | source.script_mode("s3://b/k") | {"_tuning_objective_metric": "x"})
    expected = {
        "eta": "0.3",
        "objective": "reg:squarederror",
        "monotone_constraints": "(1,0)",
        "seed": "7",
        "bad": '"x',
    }
    assert Layout(tmp_path).hyperparameters() == expected
