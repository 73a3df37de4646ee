"""The landing folder: which files are datasets, and what lies beside them."""

import os
from pathlib import Path

import pytest

from optiflow.errors import TransientError, UserError
from resources.landing import (
    ensure_unchanged,
    find_upload,
    landing_prefix,
    live_datasets,
    pair_files,
    read_options,
    sha256_of,
)
from resources.storage import FileStorage, Storage, StoredObject

PREFIX = landing_prefix("orders")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return FileStorage(uri=tmp_path.as_uri())


def put(storage: Storage, name: str, data: bytes = b"a\n1\n") -> None:
    storage.write_bytes(f"{PREFIX}/{name}", data)


def wait_for_another_instant(storage: Storage) -> None:
    """Until the file system's coarse clock has moved on."""
    probe = storage.root / "probe"
    probe.touch()
    start = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == start:
        os.utime(probe)


def test_an_options_file_is_paired_with_its_table_and_is_no_table_itself() -> None:
    keys = ("b.csv.options.yaml", "a.csv", "b.csv", "lost.csv.options.yaml", "notes.yaml")
    objects = [StoredObject(f"{PREFIX}/{key}", 1, number, f"e{number}") for number, key in enumerate(keys)]
    paired = {file.name: file for file in pair_files(iter(objects))}
    assert sorted(paired) == ["a.csv", "b.csv", "notes.yaml"]
    assert paired["b.csv"].options == objects[0]
    assert paired["a.csv"].options is None
    assert (paired["b.csv"].changed_ns, paired["b.csv"].etag) == (2, "e2+e0")


def test_a_file_changes_when_its_options_do(storage: Storage) -> None:
    put(storage, "a.csv")
    before = find_upload(storage, "orders", "a")
    wait_for_another_instant(storage)
    put(storage, "a.csv.options.yaml", b"target: x")
    after = find_upload(storage, "orders", "a")
    assert after.table == before.table
    assert after.changed_ns > before.changed_ns
    assert after.etag != before.etag


def test_the_newest_of_a_datasets_formats_is_taken(storage: Storage) -> None:
    for name in ("Shop.csv", "Shop.parquet", "Shop.csv.gz"):
        put(storage, name)
        wait_for_another_instant(storage)
        assert find_upload(storage, "orders", "shop").name == name


def test_files_of_different_names_with_one_id_are_refused_by_name(storage: Storage) -> None:
    put(storage, "My Shop.csv")
    put(storage, "my-shop.csv")
    with pytest.raises(
        UserError, match=r"'My Shop\.csv', 'my-shop\.csv' in .* dataset id 'my-shop': rename all but one"
    ):
        find_upload(storage, "orders", "my-shop")


def test_a_missing_or_empty_upload_says_what_to_do(storage: Storage) -> None:
    with pytest.raises(UserError, match=r"No upload of dataset 'a' in file:.*/uploads/orders: put the file there"):
        find_upload(storage, "orders", "a")
    put(storage, "a.csv", b"")
    put(storage, "..pdf")
    with pytest.raises(UserError, match=r"a\.csv in .* is empty \(0 bytes\)"):
        find_upload(storage, "orders", "a")


@pytest.mark.parametrize("change", ["rewritten", "removed", "new options"])
def test_a_file_that_changed_while_it_was_read_is_read_again_later(storage: Storage, change: str) -> None:
    put(storage, "a.csv")
    file = find_upload(storage, "orders", "a")
    ensure_unchanged(storage, file)
    put(storage, "other.csv")
    ensure_unchanged(storage, file)
    if change == "rewritten":
        put(storage, "a.csv", b"a\n2\n")
    elif change == "removed":
        storage.path(file.table.key).unlink()
    else:
        put(storage, "a.csv.options.yaml", b"target: a")
    with pytest.raises(TransientError, match=r"a\.csv (changed while it was read|was removed)"):
        ensure_unchanged(storage, file)


def test_options_are_read_with_and_without_a_byte_order_mark(storage: Storage) -> None:
    put(storage, "a.csv")
    assert read_options(storage, find_upload(storage, "orders", "a")) == {}
    put(storage, "a.csv.options.yaml", "\ufefftarget: Größe".encode())
    assert read_options(storage, find_upload(storage, "orders", "a")) == {"target": "Größe"}


def test_an_options_file_that_is_no_utf8_is_named(storage: Storage) -> None:
    put(storage, "a.csv")
    put(storage, "a.csv.options.yaml", "target: Größe".encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.csv\.options\.yaml: not UTF-8 text"):
        read_options(storage, find_upload(storage, "orders", "a"))


def test_the_version_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # pragma: allowlist secret
    assert sha256_of(tmp_path / "abc") == expected


def test_a_folder_is_one_upload_of_all_files_in_it_with_the_options_beside_it(storage: Storage) -> None:
    for name in ("day=1/b.csv", "a.csv", "_SUCCESS", "_temporary/0/x.csv", ".crc/a.csv", "day=1/~$b.xlsx"):
        put(storage, f"Shop 7/{name}", b"12345")
    put(storage, "Shop 7.options.yaml", b"target: y")
    file = find_upload(storage, "orders", "shop-7")
    assert [part.key for part in file.parts] == [f"{PREFIX}/Shop 7/{name}" for name in ("a.csv", "day=1/b.csv")]
    assert (file.name, file.stem, file.table.size, file.is_folder) == ("Shop 7", "Shop 7", 10, True)
    assert read_options(storage, file) == {"target": "y"}
    assert live_datasets(storage, "orders") == {"shop-7"}


@pytest.mark.parametrize("change", ["rewritten", "added", "removed", "emptied", "new options"])
def test_a_folder_that_changed_while_it_was_read_is_read_again_later(storage: Storage, change: str) -> None:
    put(storage, "shop/a.csv")
    put(storage, "shop/b/b.csv")
    file = find_upload(storage, "orders", "shop")
    ensure_unchanged(storage, file)
    if change == "rewritten":
        put(storage, "shop/b/b.csv", b"a\n2\n")
    elif change == "added":
        put(storage, "shop/b/c.csv")
    elif change == "new options":
        put(storage, "shop.options.yaml", b"target: a")
    else:
        for part in file.parts[: 2 if change == "emptied" else 1]:
            storage.path(part.key).unlink()
    with pytest.raises(TransientError, match=r"shop (changed while it was read|was removed)"):
        ensure_unchanged(storage, file)


def test_a_folder_and_a_file_of_one_id_are_refused_by_name(storage: Storage) -> None:
    put(storage, "shop/a.csv")
    put(storage, "shop.csv")
    with pytest.raises(UserError, match=r"'shop', 'shop\.csv' in .* dataset id 'shop': rename all but one"):
        find_upload(storage, "orders", "shop")
    assert live_datasets(storage, "orders") == set()


def test_what_cannot_be_read_in_a_folder_is_kept_by_name_and_a_folder_of_it_refuses_all(storage: Storage) -> None:
    put(storage, "shop/a.csv")
    folder = storage.path(f"{PREFIX}/shop")
    (folder / "gone.csv").symlink_to("nowhere")
    (folder / "up").symlink_to("..")
    (folder / "round").symlink_to(folder)
    found = find_upload(storage, "orders", "shop")
    assert [part.key for part in found.parts] == [f"{PREFIX}/shop/a.csv"]
    assert {entry.name: entry.reason for entry in found.unreadable} == {
        "gone.csv": "a link that leads nowhere",
        "round": "a link back to a folder above it",
        "up/shop": "a link back to a folder above it",
    }


def test_the_folders_that_spark_writes_are_named_like_files(storage: Storage) -> None:
    put(storage, "sales.parquet/part-00000.snappy.parquet")
    assert find_upload(storage, "orders", "sales").is_folder
