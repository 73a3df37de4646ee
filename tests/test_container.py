"""The container program, run as SageMaker runs it: a process, `/opt/ml` folders, an exit code and a failure file."""

import errno
import gzip
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost

from optiflow.artifact import MODEL_FILE, extract_model, pack_model
from optiflow.container.__main__ import main
from optiflow.container.channels import channel_files, read_channel, read_file
from optiflow.container.ending import EXIT_DISK_FULL
from optiflow.container.layout import put_in_place
from optiflow.container.scoring import write_predictions
from optiflow.errors import UserError
from optiflow.learners.xgboost import load
from resources.jobs.source import UNPACK_AND_RUN

ROOT = Path(__file__).parent.parent

PARAMS = {"num_round": "12", "eta": "0.3", "max_depth": "4", "nthread": "1"}


def table(rows: int = 200, seed: int = 0) -> pa.Table:
    """Target, then a float, an integer, a flag, a small decimal and a column with holes."""
    generator = np.random.default_rng(seed)
    first = generator.random(rows)
    holes = pa.array(generator.random(rows), mask=generator.random(rows) < 0.2)
    columns = {
        "y": first * 4 + generator.normal(0, 0.1, rows),
        "float": first,
        "integer": generator.integers(0, 50, rows),
        "flag": generator.random(rows) < 0.5,
        "decimal": pa.array(np.round(generator.random(rows), 2)).cast(pa.decimal128(6, 2)),
        "holes": holes,
    }
    return pa.table(columns)


def as_csv(data: pa.Table) -> str:
    def cell(value):
        return "" if value is None else str(int(value) if isinstance(value, bool) else value)

    return "".join(",".join(map(cell, row.values())) + "\n" for row in data.to_pylist())


def as_matrix(data: pa.Table) -> np.ndarray:
    return data.to_pandas().to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float32)


def layout(
    prefix: Path, channels: dict[str, dict[str, pa.Table | str | bytes]], types: dict[str, str], **params
) -> Path:
    config = prefix / "input" / "config"
    config.mkdir(parents=True)
    (prefix / "model").mkdir()
    (config / "hyperparameters.json").write_text(json.dumps({**PARAMS, **params}))
    (config / "inputdataconfig.json").write_text(json.dumps({n: {"ContentType": t} for n, t in types.items()}))
    for channel, files in channels.items():
        folder = prefix / "input" / "data" / channel
        folder.mkdir(parents=True)
        for name, content in files.items():
            if isinstance(content, pa.Table):
                pq.write_table(content, folder / name)
            else:
                (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return prefix


def train(prefix: Path) -> Path:
    assert main(["train", "--prefix", str(prefix)]) == 0
    return prefix / "model" / MODEL_FILE


def plain(data: pa.Table, **params) -> xgboost.Booster:
    values = as_matrix(data)
    own = {"eta": 0.3, "max_depth": 4, "nthread": 1, **params}
    return xgboost.train(own, xgboost.DMatrix(values[:, 1:], label=values[:, 0]), 12)


def trees(model: Path) -> list[str]:
    return load(model).get_dump(dump_format="json")


@pytest.mark.parametrize("kind", ["text/csv", "text/csv; label_size=1", "application/x-parquet"])
def test_training_gives_the_trees_of_plain_xgboost_whatever_the_format(tmp_path, kind: str):
    content = table() if "parquet" in kind else as_csv(table())
    model = train(layout(tmp_path, {"train": {"part": content}}, {"train": kind}))
    assert trees(model) == plain(table()).get_dump(dump_format="json")


def test_several_files_are_one_table_in_the_order_of_their_names(tmp_path):
    whole = table()
    files = {"b.parquet": whole.slice(70), "a.parquet": whole.slice(0, 70), "_SUCCESS": "", ".crc": "x"}
    model = train(layout(tmp_path, {"train": files}, {"train": "application/x-parquet"}))
    assert trees(model) == plain(whole).get_dump(dump_format="json")


def test_a_channels_files_are_in_the_order_of_their_paths_whatever_the_disk_says(tmp_path):
    # In an order that is neither rising nor falling: a file system may list as files were made, or backwards.
    places = [f"{n % 3}/part-{n * 7 % 20:02d}" for n in range(20)]
    for place in places:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("1,2\n")
    assert [path.relative_to(tmp_path).as_posix() for path in channel_files(tmp_path)] == sorted(places)


def test_the_program_prints_rounds_in_sagemakers_form_and_leaves_metrics(tmp_path):
    channels = {"train": {"t.parquet": table(60)}, "validation": {"v.csv": as_csv(table(100, seed=2))}}
    types = {"train": "application/x-parquet", "validation": "text/csv"}
    prefix = layout(tmp_path, channels, types, num_round="200", early_stopping_rounds="3", eta="0.8")
    run = subprocess.run(
        [sys.executable, "-m", "optiflow.container", "train", "--prefix", str(prefix)],
        capture_output=True,
        text=True,
        check=True,
    )
    pattern = r"\[(\d+)\]\ttrain-rmse:([0-9.]+)\tvalidation-rmse:([0-9.]+)"
    rounds = re.findall(rf"^{pattern}$", run.stdout, flags=re.MULTILINE)
    left = json.loads((prefix / "output" / "data" / "metrics.json").read_text())
    assert [int(number) for number, *_ in rounds] == list(range(left["rounds"]))
    assert [float(score) for *_, score in rounds] == pytest.approx(left["history"]["validation:rmse"], abs=1e-5)
    assert left["rounds"] == left["best_iteration"] + 1 + 3 < 200
    assert left["metrics"]["validation:rmse"] == min(left["history"]["validation:rmse"])
    assert len(trees(prefix / "model" / MODEL_FILE)) == left["best_iteration"] + 1


def test_the_program_loads_no_library_that_is_not_needed():
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.argv = ['x'];"
        "import optiflow.container.__main__, optiflow.container.training, optiflow.container.scoring;"
        "heavy = {'numpy', 'pyarrow', 'xgboost', 'pandas', 'polars', 'pydantic', 'dagster'} & set(sys.modules);"
        "from optiflow.learners import xgboost as l; import numpy as np, pyarrow.parquet;"
        "l.train({'num_round': 1}, l.Matrix(np.ones((9, 2), 'f4'), np.ones(9, 'f4')));"
        "print(sorted(heavy), sorted({'pandas', 'polars', 'pydantic', 'dagster'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[] []"


def test_csv_weights_is_the_second_column_of_the_train_channel_only(tmp_path):
    data = table()
    weight = np.linspace(0.1, 3, 200)
    content = as_csv(data.add_column(1, "weight", pa.array(weight)))
    channels = {"train": {"a.csv": content}, "validation": {"v.csv": as_csv(table(50, seed=1))}}
    model = train(layout(tmp_path, channels, {"train": "text/csv", "validation": "text/csv"}, csv_weights="1"))
    values = as_matrix(data)
    expected = xgboost.train(
        {"eta": 0.3, "max_depth": 4, "nthread": 1},
        xgboost.DMatrix(values[:, 1:], label=values[:, 0], weight=weight.astype(np.float32)),
        12,
    )
    assert trees(model) == expected.get_dump(dump_format="json")


def test_transform_writes_a_line_a_row_for_each_file_with_the_exact_numbers(tmp_path):
    model = train(layout(tmp_path / "t", {"train": {"a": table()}}, {"train": "application/x-parquet"}))
    fresh = table(seed=4).drop_columns(["y"])
    files = {"a.parquet": fresh.slice(0, 150), "b.parquet": fresh.slice(150)}
    prefix = layout(tmp_path / "s", {"transform": files}, {"transform": "application/x-parquet"})
    model.rename(prefix / "model" / MODEL_FILE)
    assert main(["transform", "--prefix", str(prefix)]) == 0
    output = prefix / "output" / "data"
    assert sorted(path.name for path in output.iterdir()) == ["a.parquet.out", "b.parquet.out"]
    lines = "".join((output / f"{name}.out").read_text() for name in files).splitlines()
    expected = plain(table()).predict(xgboost.DMatrix(as_matrix(fresh)))
    assert [float(line) for line in lines] == expected.tolist()
    assert np.array_equal(np.array(lines, dtype=np.float32), expected)


def test_one_column_with_blank_lines_keeps_a_prediction_a_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1\n\n3\n")
    assert np.array_equal(read_file(path, "text/csv"), np.array([[1], [np.nan], [3]], "f4"), equal_nan=True)


def test_written_predictions_come_back_bit_for_bit(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    numbers = bits[np.isfinite(bits)]
    write_predictions(numbers, tmp_path / "x")
    back = [float(line) for line in (tmp_path / "x").read_text().splitlines()]
    assert np.array_equal(np.array(back, np.float32), numbers)
    assert np.array_equal(np.array(back), numbers.astype(np.float64))


GOOD = "1.5,2,3\n2.5,,4\n"
BAD_TRAINING = {
    "text in a cell": ({"a.csv": "1,2,3\n4,x y,6\n"}, "file a.csv, row 2, column 2: 'x y' is not a number"),
    "a header": ({"a.csv": "y,a,b\n1,2,3\n"}, "row 1, column 1: 'y' is not a number. Is it a header?"),
    "a short row": ({"a.csv": "1,2,3\n4,5\n"}, "file a.csv, row 2: 2 columns, row 1 has 3"),
    "no target in a row": ({"a.csv": "1,2,3\n,5,6\n"}, "file a.csv, row 2: the target is missing in 1 row"),
    "target only": ({"a.csv": "1\n2\n"}, "1 column.*expected the target and at least one feature"),
    "an infinite value": ({"a.csv": "1,2,3\n4,inf,6\n"}, "row 2, column 2: the value is infinite"),
    "beyond float32": ({"a.csv": "1,2,3\n4,5,1e39\n"}, "row 2, column 3: the value is infinite or beyond"),
    "an empty file": ({"a.csv": ""}, "file a.csv is empty"),
    "no file": ({}, "channel train has no file"),
    "files of unequal width": ({"a.csv": GOOD, "b.csv": "1,2\n"}, "file b.csv has 2 columns, a.csv 3"),
    "no Parquet": ({"a.parquet": b"PAR1 but then nothing"}, "file a.parquet is not a Parquet file"),
    "text column": ({"a.parquet": pa.table({"y": [1.0], "name": ["x"]})}, r"column 2 \('name'\) is of type string"),
    "no row": ({"a.parquet": table(5).slice(0, 0)}, "channel train has no row"),
}


@pytest.mark.parametrize(("files", "said"), BAD_TRAINING.values(), ids=BAD_TRAINING.keys())
def test_a_channel_that_a_user_can_mend_is_told_in_the_failure_file(tmp_path, files, said, capsys):
    kinds = {"train": "application/x-parquet" if any("parquet" in name for name in files) else "text/csv"}
    prefix = layout(tmp_path, {"train": files}, kinds)
    assert main(["train", "--prefix", str(prefix)]) == 1
    failure = (prefix / "output" / "failure").read_text()
    assert re.search(said, failure), failure
    assert failure in capsys.readouterr().err
    assert list((prefix / "model").iterdir()) == [], "no half model"


@pytest.mark.parametrize(
    ("params", "validation", "said"),
    [
        ({"eta": "2"}, None, r"'eta' is '2': allowed is a number in \[0, 1\]"),
        ({"num_rounds": "2"}, None, "did you mean 'num_round'"),
        ({"csv_weights": "1"}, None, "'csv_weights' is '1': it needs a train channel of content type text/csv"),
        ({}, "1,2,3\n", "channel validation has 2 feature columns, channel train 5"),
        ({"objective": "binary:logistic"}, None, "XGBoost refused to train"),
    ],
)
def test_wrong_settings_fail_with_the_reason_and_without_a_model(tmp_path, params, validation, said):
    channels = {"train": {"a.parquet": table()}} | ({"validation": {"v.csv": validation}} if validation else {})
    prefix = layout(tmp_path, channels, {"train": "application/x-parquet"}, **params)
    assert main(["train", "--prefix", str(prefix)]) == 1
    assert re.search(said, (prefix / "output" / "failure").read_text())
    assert list((prefix / "model").iterdir()) == []


def test_an_unknown_content_type_is_refused(tmp_path):
    (tmp_path / "a.libsvm").write_text("1 0:2\n")
    with pytest.raises(UserError, match="'text/libsvm' is not read here: use text/csv or application/x-parquet"):
        read_channel(tmp_path, "text/libsvm")


def test_transform_refuses_other_columns_and_a_missing_model(tmp_path):
    prefix = layout(tmp_path, {"transform": {"a.csv": "1,2,3\n"}}, {"transform": "text/csv"})
    assert main(["transform", "--prefix", str(prefix)]) == 1
    assert "none of summary.json, xgboost-model" in (prefix / "output" / "failure").read_text()
    plain(table()).save_model(prefix / "model" / f"{MODEL_FILE}.ubj")
    (prefix / "model" / f"{MODEL_FILE}.ubj").rename(prefix / "model" / MODEL_FILE)
    assert main(["transform", "--prefix", str(prefix)]) == 1
    assert "trained on 5 feature columns, the data has 3" in (prefix / "output" / "failure").read_text()
    assert not (prefix / "output" / "data").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_has_its_own_exit_code_and_leaves_no_model(tmp_path):
    prefix = layout(tmp_path, {"train": {"a.parquet": table()}}, {"train": "application/x-parquet"})
    (prefix / "model" / f".{MODEL_FILE}.tmp").symlink_to("/dev/full")
    (prefix / "output").mkdir()
    (prefix / "output" / "failure").symlink_to("/dev/full")
    assert main(["train", "--prefix", str(prefix)]) == EXIT_DISK_FULL
    assert list((prefix / "model").iterdir()) == []


def archive(path: Path, members: list[tarfile.TarInfo], content: bytes = b"model") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, type_: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type_, link
    return info


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (member("../outside"), "leads out"),
        (member("/etc/outside"), "leads out"),
        (member("a/../../outside"), "leads out"),
        (member("link", tarfile.SYMTYPE, "/etc/passwd"), "link or a device"),
        (member("hard", tarfile.LNKTYPE, MODEL_FILE), "link or a device"),
        (member("pipe", tarfile.FIFOTYPE), "link or a device"),
        (member("device", tarfile.CHRTYPE), "link or a device"),
        (member("code/Model.PKL"), "pickle"),
        (member("model.joblib"), "pickle"),
    ],
    ids=lambda value: value.name if isinstance(value, tarfile.TarInfo) else "",
)
def test_a_malicious_archive_is_refused_and_leaves_nothing(tmp_path, bad, said):
    path = archive(tmp_path / "model.tar.gz", [member(MODEL_FILE), bad])
    with pytest.raises(UserError, match=said):
        extract_model(path, tmp_path / "target" / "deep")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def python_without_filters() -> str | None:
    """An interpreter from before tarfile's filters (3.11.4), if this machine has one, as Debian 12 does."""
    for name in ("/usr/bin/python3", "python3.11", "python3.10"):
        known = ["-c", "import sys, tarfile; sys.exit(sys.version_info < (3, 10) or hasattr(tarfile, 'data_filter'))"]
        if (python := shutil.which(name)) and not subprocess.run([python, *known], capture_output=True).returncode:
            return python
    return None


@pytest.mark.skipif(python_without_filters() is None, reason="every Python here has tarfile's filters")
def test_archives_are_unpacked_and_refused_by_a_python_without_filters_too(tmp_path):
    python = str(python_without_filters())
    unpack = (
        "import sys, pathlib; from optiflow.artifact import extract_model;"
        "print(extract_model(*map(pathlib.Path, sys.argv[1:])).read_bytes())"
    )
    good = archive(tmp_path / "good.tar.gz", [member(MODEL_FILE), member("folder/file")])
    done = subprocess.run([python, "-c", unpack, good, tmp_path / "a"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, f"{b'model'}\n"), done.stderr
    for bad in (member("../outside"), member("/etc/outside"), member("link", tarfile.SYMTYPE, "/etc/passwd")):
        path = archive(tmp_path / "bad.tar.gz", [member(MODEL_FILE), bad])
        done = subprocess.run([python, "-c", unpack, path, tmp_path / "b"], capture_output=True, text=True, cwd=ROOT)
        assert "UserError: bad.tar.gz is refused" in done.stderr
    assert not (tmp_path / "b").exists()

    code = archive(tmp_path / "sourcedir.tar.gz", [member("optiflow_job.py")], b"print('started')")
    done = subprocess.run([python, "-c", UNPACK_AND_RUN, code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr


def test_an_archive_with_too_much_in_it_is_refused(tmp_path):
    path = archive(tmp_path / "model.tar.gz", [member(MODEL_FILE), member("x")], b"0" * 1000)
    with pytest.raises(UserError, match="too large"):
        extract_model(path, tmp_path / "a", max_bytes=1999)
    with pytest.raises(UserError, match="too large"):
        extract_model(path, tmp_path / "a", max_members=1)
    assert not (tmp_path / "a").exists()
    assert extract_model(path, tmp_path / "a", max_bytes=2000, max_members=2).read_bytes() == b"0" * 1000


@pytest.mark.parametrize("cut", [0, 5, 60])
def test_what_is_no_whole_archive_is_refused(tmp_path, cut: int):
    path = archive(tmp_path / "model.tar.gz", [member(MODEL_FILE)], os.urandom(5000))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match="not a whole tar archive"):
        extract_model(path, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def raw(path: Path, *parts: bytes) -> Path:
    """An archive of these bytes, with the end that a tar has."""
    with gzip.open(path, "wb", compresslevel=1) as packed:
        for part in (*parts, bytes(2 * tarfile.BLOCKSIZE)):
            packed.write(part)
    return path


def header(kind: bytes, content: bytes = b"", name: str = "x") -> bytes:
    """One member with its content, filled up to whole blocks; a header that lengthens the next one is one as well."""
    info = member(name, kind)
    info.size = len(content)
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def pax(*fields: tuple[str, bytes], kind: bytes = tarfile.XHDTYPE) -> bytes:
    records = b""
    for name, value in fields:
        rest = b" " + name.encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while length != len(rest) + len(str(length)):
            length = len(rest) + len(str(length))
        records += str(length).encode() + rest
    return header(kind, records)


def endless() -> bytes:
    """A header whose member is longer than any archive; GNU tar writes such a number as bytes."""
    info = member("x")
    info.size = 2**60
    return info.tobuf(tarfile.GNU_FORMAT)


MODEL = header(tarfile.REGTYPE, b"model", MODEL_FILE)
FILE = header(tarfile.REGTYPE, b"content")
FOLDER = header(tarfile.DIRTYPE, name="folder")
FIRST = header(tarfile.REGTYPE, b"content", "folder/first")
HOSTILE = {
    "a NUL in a PAX path": [pax(("path", b"a\0b")), FILE],
    "3000 PAX headers": [pax(("comment", b"c"))] * 3000,
    "3000 long names": [header(tarfile.GNUTYPE_LONGNAME, b"a\0")] * 3000,
    "the model is a folder, then a file": [header(tarfile.DIRTYPE, name=MODEL_FILE)],
    "an empty long name": [header(tarfile.GNUTYPE_LONGNAME, b"\0"), FILE],
    "a name of 5000 characters": [pax(("path", b"a" * 5000)), FILE],
    "a file, then a folder of its name": [header(tarfile.REGTYPE, name="a"), header(tarfile.REGTYPE, name="a/b")],
    "folders deeper than recursion": [pax(("path", b"a/" * 1500 + b"b")), FILE],
    "a size below zero": [pax(("size", b"-1000000")), FILE],
    "a size that is no number": [pax(("GNU.sparse.size", b"many")), FILE],
    "a length of too many digits": [header(tarfile.XHDTYPE, b"9" * 5000 + b" a=b\n"), FILE],
    "a size that hides a greater one": [pax(("GNU.sparse.realsize", b"9")), endless()],
    "a sparse file": [pax(("GNU.sparse.size", b"9"), ("GNU.sparse.numblocks", b"0")), FILE],
    "a sparse file without its map": [pax(("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")), FILE],
    "many fields for one member": [pax(*((f"f{n}", b"") for n in range(101))), FILE],
    "many fields for all members": [pax(*((f"f{n}", b"") for n in range(101)), kind=tarfile.XGLTYPE), FILE],
    "digits that a pattern tries one by one": [header(tarfile.XHDTYPE, b"1" * 1_000_000), FILE],
}


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_archive_made_to_break_its_reader_is_refused_and_leaves_nothing(tmp_path, parts: list[bytes], is_there):
    target = tmp_path / "target"
    if is_there:
        target.mkdir()
        (target / "mine").write_text("kept")
    with pytest.raises(UserError, match=r"^model\.tar\.gz is "):
        extract_model(raw(tmp_path / "model.tar.gz", FOLDER, FIRST, *parts, MODEL), target)
    assert list(target.rglob("*")) == ([target / "mine"] if is_there else [])


def zeros(megabytes: int) -> Iterator[bytes]:
    yield from [bytes(2**20)] * megabytes


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
@pytest.mark.parametrize("before", [b"", MODEL], ids=["first", "after a member"])
def test_a_header_of_64_mb_is_refused_before_it_is_in_memory(tmp_path, kind: bytes, before: bytes):
    info = member("x", kind)
    info.size = 64 * 2**20
    path = raw(tmp_path / "model.tar.gz", before, info.tobuf(tarfile.USTAR_FORMAT), *zeros(64), FILE)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="bytes of headers before one member"):
            extract_model(path, tmp_path / "target", max_bytes=2**20)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_a_file_that_was_accepted_lends_its_bytes_to_no_header(tmp_path):
    big = header(tarfile.REGTYPE, bytes(2**20), MODEL_FILE)
    path = raw(tmp_path / "model.tar.gz", big, pax(("comment", b"c" * 2**19)), FILE)
    with pytest.raises(UserError, match="bytes of headers before one member"):
        extract_model(path, tmp_path / "target")


def test_long_names_many_files_and_the_headers_of_gnu_tar_are_taken(tmp_path):
    source = tmp_path / "source"
    deep = source / "/".join(["d" * 200] * 15)
    deep.mkdir(parents=True)
    (deep / ("f" * 200)).write_text("deep")
    for number in range(300):
        (source / f"{number}").write_bytes(b"x" * number)
    (source / MODEL_FILE).write_bytes(os.urandom(300_000))
    for format_ in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz", format=format_) as tar:
            tar.add(source, arcname=".")
        target = tmp_path / str(format_)
        extract_model(tmp_path / "model.tar.gz", target)
        assert {p.relative_to(target): p.read_bytes() for p in target.rglob("*") if p.is_file()} == {
            p.relative_to(source): p.read_bytes() for p in source.rglob("*") if p.is_file()
        }


def test_a_disk_that_refuses_a_write_stays_loud_and_nothing_is_left(tmp_path):
    path = raw(tmp_path / "model.tar.gz", header(tarfile.REGTYPE, bytes(200_000), MODEL_FILE))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            extract_model(path, tmp_path / "target")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert not (tmp_path / "target").exists()


def test_an_archive_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no file 'xgboost-model'"):
        extract_model(archive(tmp_path / "m.tar.gz", [member("readme")]), tmp_path / "a")


def test_equal_models_pack_to_equal_bytes(tmp_path):
    for name, when in (("a", 1), ("b", 1_000_000_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / MODEL_FILE).write_bytes(b"model" * 999)
        os.utime(tmp_path / name / MODEL_FILE, (when, when))
        pack_model(tmp_path / name, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert extract_model(tmp_path / "a.tar.gz", tmp_path / "c").read_bytes() == b"model" * 999


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells a handle's file by /proc")
@pytest.mark.parametrize("write", ["prediction", "model"])
def test_a_jobs_output_is_on_the_disk_before_it_gets_its_name_and_then_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """The result that says that the job has completed is on the disk; after a power cut it would be believed."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / MODEL_FILE).write_bytes(b"a model")
    target, synced, sync = tmp_path / "output" / "sub" / "a", [], os.fsync

    def watched(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((path.relative_to(tmp_path).as_posix(), path.is_dir() or path.stat().st_size, target.exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    if write == "model":
        pack_model(tmp_path / "model", target)
    else:
        with put_in_place(target) as path:
            path.write_bytes(b"12345")
    size = target.stat().st_size
    folders = [(".", True, False), ("output", True, False)]
    assert synced == [*folders, ("output/sub/.a.tmp", size, False), ("output/sub", True, True)]
