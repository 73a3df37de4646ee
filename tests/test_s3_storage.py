"""S3 storage over real HTTP: the same promises as on disk, and one message for each thing that can be wrong."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest
from aws_double.client import REGION, AwsDouble

from optiflow.errors import TransientError, UserError
from optiflow.options import merge_options
from optiflow.pipelines import PIPELINES
from resources.failures import told_plainly
from resources.landed import read_landed
from resources.landing import ensure_unchanged, find_upload
from resources.storage import FileStorage, S3Storage, Unreadable, storage_at
from resources.storage.s3 import PART_BYTES

BUCKET = "optiflow-test"
FRAME = pl.DataFrame({"a": [1, None], "b": ["x", "ä"]})


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")


@pytest.fixture
def s3(aws: AwsDouble) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture
def storage(s3: Any) -> S3Storage:
    return S3Storage(uri=f"s3://{BUCKET}/team a/ü")


def test_the_address_decides_the_kind_of_storage(tmp_path: Path) -> None:
    assert isinstance(storage_at("s3://bucket"), S3Storage)
    assert isinstance(storage_at(tmp_path.as_uri()), FileStorage)


@pytest.mark.parametrize("key", ["/etc/passwd", "../x", "lake/../../x"])
def test_a_key_that_leads_out_of_the_storage_is_refused(storage: S3Storage, key: str) -> None:
    for use in (storage.uri_for, storage.stat, storage.read_bytes):
        with pytest.raises(UserError, match="leads out of the storage"):
            use(key)


@pytest.mark.parametrize("prefix", ["", "/", "/a/b c/"])
def test_objects_come_back_whole_below_their_prefix(s3: Any, prefix: str, tmp_path: Path) -> None:
    storage = S3Storage(uri=f"s3://{BUCKET}{prefix}")
    storage.write_bytes("lake/bytes", b"1")
    (tmp_path / "source").write_bytes(b"22")
    storage.put_file("lake/file", tmp_path / "source")
    with storage.writing("lake/made") as path:
        path.write_bytes(b"333")
    assert [storage.read_bytes(f"lake/{name}") for name in ("bytes", "file", "made")] == [b"1", b"22", b"333"]
    with storage.local_copy("lake/made") as path:
        assert path.read_bytes() == b"333"
    assert not path.exists()
    listed = {item.key: item for item in storage.list("lake")}
    assert {key: item.size for key, item in listed.items()} == {"lake/bytes": 1, "lake/file": 2, "lake/made": 3}
    assert all(storage.stat(key) == item for key, item in listed.items())
    below = "/".join(part for part in (prefix.strip("/"), "lake/made") if part)
    assert s3.get_object(Bucket=BUCKET, Key=below)["Body"].read() == b"333"
    assert storage.uri_for("lake/made") == f"s3://{BUCKET}/{below}"


def test_a_folder_goes_with_all_that_is_below_it_and_nothing_beside_it(s3: Any, storage: S3Storage) -> None:
    below = ["lake/a/shop/1.parquet", "lake/a/shop/deep/2.json", "lake/a/shop/.tmp-3"]
    for key in (*below, "lake/a/shop-2/1.parquet", "lake/a/other"):
        storage.write_bytes(key, b"1")
    assert storage.folders("lake/a") == ("shop", "shop-2")
    assert storage.folders("lake/none") == ()
    assert sorted(found.key for found in storage.tree("lake/a/shop")) == sorted(below)
    storage.remove_tree("lake/a/shop")
    storage.remove_tree("lake/a/shop")
    assert sorted(found.key for found in storage.tree("lake")) == ["lake/a/other", "lake/a/shop-2/1.parquet"]
    assert storage.remove("lake/a/other")
    assert not storage.remove("lake/a/other")


def write_half(storage: S3Storage, key: str) -> None:
    with storage.writing(key) as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError


def test_a_failed_write_leaves_the_object_as_it_was(storage: S3Storage) -> None:
    storage.write_bytes("lake/a", b"old")
    with pytest.raises(ZeroDivisionError):
        write_half(storage, "lake/a")
    assert storage.read_bytes("lake/a") == b"old"
    assert [item.key for item in storage.list("lake")] == ["lake/a"]


def test_a_large_object_goes_in_parts_and_comes_back(storage: S3Storage, aws: AwsDouble, tmp_path: Path) -> None:
    data = secrets.token_bytes(PART_BYTES + 5)
    (tmp_path / "large").write_bytes(data)
    storage.put_file("lake/large", tmp_path / "large")
    assert len(aws.requests("s3:UploadPart")) == 2
    with storage.local_copy("lake/large") as path:
        assert path.read_bytes() == data


def test_a_listing_has_the_objects_of_one_folder_over_all_pages(storage: S3Storage, aws: AwsDouble) -> None:
    folder = storage.full_key("uploads/orders")
    aws.seed_objects(BUCKET, [f"{folder}/{n:04d}.csv" for n in range(1203)])
    for key in ("sub/b.csv", ".hidden"):
        storage.write_bytes(f"uploads/orders/{key}", b"12")
    found = [item.key for item in storage.list("uploads/orders")]
    assert sorted(found) == [f"uploads/orders/{n:04d}.csv" for n in range(1203)]
    assert list(storage.list("uploads/none")) == []
    assert len(aws.requests("s3:ListObjectsV2")) == 3


def test_folders_of_a_listing_are_named_and_walked_to_any_depth(storage: S3Storage) -> None:
    for key in ("a.csv", "shop/a.csv", "shop/day=1/b.csv", "shop/.hidden/c.csv", "shop/~$d.xlsx", "shop/", ".x/a.csv"):
        storage.write_bytes(f"uploads/orders/{key}", b"12")
    unreadable: list[Unreadable] = []
    assert [item.key for item in storage.list("uploads/orders", unreadable)] == ["uploads/orders/a.csv"]
    assert unreadable == [Unreadable("shop", "a folder", is_folder=True)]
    walked = [item.key for item in storage.walk("uploads/orders/shop")]
    assert walked == ["uploads/orders/shop/a.csv", "uploads/orders/shop/day=1/b.csv"]
    assert find_upload(storage, "orders", "shop").table.size == 4


def test_a_folder_in_a_bucket_is_read_as_one_upload(storage: S3Storage) -> None:
    days = [f"2024-0{month}-{day:02}" for month in (1, 3) for day in range(1, 32)]
    for number, day in enumerate(days):
        storage.write_bytes(
            f"uploads/item_demand/daily/store=S1/{day}.csv", f"date,item,sales\n{day},A,{number}\n".encode()
        )
    storage.write_bytes("uploads/item_demand/daily/bad.csv", b"nothing")
    file, spec = find_upload(storage, "item_demand", "daily"), PIPELINES["item_demand"]
    found = read_landed(storage, file, merge_options(spec.default_options, {"horizon": 3}), spec)
    ensure_unchanged(storage, file)
    assert (found.shown["files"], found.table.rows_in, found.table.accepted["store"].unique().to_list()) == (
        62,
        62,
        ["S1"],
    )
    assert [warning.startswith("bad.csv was left out: ") for warning in found.warnings] == [True]
    storage.write_bytes("uploads/item_demand/daily/bad.csv", b"nothing else")
    with pytest.raises(TransientError, match="changed while it was read"):
        ensure_unchanged(storage, file)


def test_parquet_comes_back_as_it_was_lazy_or_not(storage: S3Storage) -> None:
    storage.write_parquet("lake/eager.parquet", FRAME)
    storage.write_parquet("lake/lazy.parquet", FRAME.lazy().filter(pl.col("a") == 1))
    assert storage.scan_parquet("lake/eager.parquet").collect().equals(FRAME)
    assert storage.scan_parquet("lake/lazy.parquet").collect().equals(FRAME.head(1))
    with pytest.raises(FileNotFoundError, match=r"lake/none\.parquet"):
        storage.scan_parquet("lake/none.parquet")


@pytest.mark.parametrize(("kms_key", "expected"), [(None, "alias/of-the-bucket"), ("alias/optiflow", "alias/optiflow")])
def test_every_object_is_encrypted_as_the_bucket_says_or_with_the_key_that_is_set(
    s3: Any, kms_key: str | None, expected: str, tmp_path: Path
) -> None:
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/of-the-bucket"}
    s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
    )
    storage = S3Storage(uri=f"s3://{BUCKET}", kms_key=kms_key)
    storage.write_bytes("bytes", b"1")
    (tmp_path / "source").write_bytes(b"1")
    storage.put_file("file", tmp_path / "source")
    with storage.writing("made") as path:
        path.write_bytes(b"1")
    storage.write_parquet("table.parquet", FRAME)
    for key in ("bytes", "file", "made", "table.parquet"):
        head = s3.head_object(Bucket=BUCKET, Key=key)
        assert (head["ServerSideEncryption"], head.get("SSEKMSKeyId")) == ("aws:kms", expected)


USES: dict[str, Callable[[S3Storage], object]] = {
    "s3:ListObjectsV2": lambda storage: list(storage.list("uploads/orders")),
    "s3:HeadObject": lambda storage: storage.stat("lake/a"),
    "s3:GetObject": lambda storage: storage.read_bytes("lake/a"),
    "s3:PutObject": lambda storage: storage.write_bytes("lake/a", b"1"),
}


@pytest.mark.parametrize("operation", USES)
@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_what_passes_by_itself_is_tried_again_and_then_told(
    storage: S3Storage, aws: AwsDouble, operation: str, code: str, status: int
) -> None:
    storage.write_bytes("lake/a", b"1")
    aws.add_fault(operation, code, status=status, times=1)
    USES[operation](storage)
    aws.add_fault(operation, code, status=status, times=None)
    with pytest.raises(TransientError, match=r"Cannot .* s3://optiflow-test/.* just now"):
        USES[operation](storage)
    aws.clear_faults()
    assert storage.read_bytes("lake/a") == b"1"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("AccessDenied", 403, "access is denied. Allow "),
        ("ExpiredToken", 400, "credentials have expired"),
        ("InvalidAccessKeyId", 403, "does not know these credentials"),
        ("AuthorizationHeaderMalformed", 400, "Set AWS_REGION"),
    ],
)
@pytest.mark.parametrize("operation", USES)
def test_what_the_user_can_mend_names_the_variable_or_the_permission(
    storage: S3Storage, aws: AwsDouble, operation: str, code: str, status: int, words: str
) -> None:
    aws.add_fault(operation, code, status=status, times=None)
    if operation == "s3:HeadObject":
        aws.add_fault(
            "s3:GetObject", code, status=status, times=None
        )  # S3 would refuse both; HEAD's answer says nothing
    with pytest.raises(UserError, match=words) as caught:
        USES[operation](storage)
    if code == "AccessDenied":
        needed = {"s3:ListObjectsV2": "s3:ListBucket", "s3:HeadObject": "s3:GetObject and s3:ListBucket"}
        assert needed.get(operation, operation) in str(caught.value)


@pytest.mark.parametrize("use", ["scan_parquet", "local_copy"])
def test_expired_credentials_are_told_wherever_an_object_is_looked_at_first(
    storage: S3Storage, aws: AwsDouble, use: str
) -> None:
    for operation in ("s3:HeadObject", "s3:GetObject"):
        aws.add_fault(operation, "ExpiredToken", status=400, times=None)
    with pytest.raises(UserError, match="credentials have expired"):
        storage.scan_parquet("lake/a") if use == "scan_parquet" else storage.local_copy("lake/a").__enter__()


def test_a_missing_bucket_names_the_variable(s3: Any) -> None:
    storage = S3Storage(uri="s3://no-such-bucket/x")
    for use in USES.values():
        with pytest.raises(UserError, match=r"bucket does not exist\. Mend OPTIFLOW_STORAGE"):
            use(storage)
    with pytest.raises(UserError, match=r"bucket does not exist\. Mend OPTIFLOW_STORAGE"):
        storage.write_parquet("lake/a.parquet", FRAME)


def test_without_credentials_the_message_says_how_to_give_some(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for use in (*USES.values(), lambda storage: storage.scan_parquet("lake/a.parquet")):
        with pytest.raises(UserError, match=r"no AWS credentials\. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID"):
            use(storage)


def test_without_a_region_the_message_names_the_variable(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(UserError, match="set AWS_REGION"):
        storage.exists("lake/a")


def test_a_server_that_is_gone_may_come_back(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for use in (*USES.values(), lambda storage: storage.write_parquet("lake/a.parquet", FRAME)):
        with pytest.raises(TransientError, match=r"just now: .*AWS_REGION and AWS_ENDPOINT_URL"):
            use(storage)


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("SlowDown", 503, TransientError, "just now"),
        ("AccessDenied", 403, UserError, "Allow s3:PutObject"),
        ("ExpiredToken", 400, UserError, "credentials have expired"),
    ],
)
def test_polars_errors_on_writing_are_told_in_the_same_words(
    storage: S3Storage, aws: AwsDouble, code: str, status: int, kind: type[Exception], words: str
) -> None:
    storage.write_parquet("lake/a.parquet", FRAME)
    aws.add_fault("s3:PutObject", code, status=status, times=None)
    with pytest.raises(kind, match=words):
        storage.write_parquet("lake/a.parquet", FRAME.head(1))
    aws.clear_faults()
    assert storage.scan_parquet("lake/a.parquet").collect().equals(FRAME)


@pytest.mark.parametrize(
    ("code", "status", "words"), [("AccessDenied", 403, "Allow s3:GetObject"), ("ExpiredToken", 400, "expired")]
)
def test_an_error_while_a_lazy_table_is_collected_is_told_by_the_step(
    storage: S3Storage, aws: AwsDouble, code: str, status: int, words: str
) -> None:
    storage.write_parquet("lake/a.parquet", FRAME)
    table = storage.scan_parquet("lake/a.parquet")
    aws.add_fault("s3:GetObject", code, status=status, times=None)
    with pytest.raises(dg.Failure, match=words), told_plainly({}):
        table.collect()
