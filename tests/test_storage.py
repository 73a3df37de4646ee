"""Storage: keys stay inside, readers never see a part, listings notice whatever arrives."""

import errno
import os
import shutil
import threading
from pathlib import Path, PurePosixPath

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optiflow.errors import TransientError, UserError
from resources.storage import FileStorage, Storage, StoredObject
from resources.storage.files import TEMPORARY_PREFIX

segments = st.one_of(
    st.sampled_from(["..", ".", "", "...", "a..b", "..a", "ä ü%20#?&=+", "C:"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40),
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return FileStorage(uri=(tmp_path / "a b%20#?").as_uri())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def listed(storage: Storage, prefix: str = "uploads/orders") -> dict[str, StoredObject]:
    return {PurePosixPath(item.key).name: item for item in storage.list(prefix)}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(segments, min_size=1, max_size=5).map("/".join))
def test_a_key_stays_below_the_root_or_is_refused(storage: Storage, key: str) -> None:
    try:
        path = storage.path(key)
    except UserError:
        assert key.startswith("/") or ".." in key.split("/")
    else:
        assert Path(os.path.normpath(path)).is_relative_to(storage.root)


def test_an_address_leads_back_to_the_object_whatever_is_in_the_key(storage: Storage) -> None:
    key = "lake/ä ü%20#?/x.csv"
    storage.write_bytes(key, b"1")
    assert FileStorage(uri=storage.uri_for(key)).root.read_bytes() == b"1"


def test_a_folder_goes_with_all_that_is_below_it_and_nothing_beside_it(storage: Storage, tmp_path: Path) -> None:
    below = ["lake/a/shop/1.parquet", "lake/a/shop/deep/2.json", "lake/a/shop/.tmp-3"]
    for key in (*below, "lake/a/shop-2/1.parquet", "lake/a/other"):
        storage.write_bytes(key, b"1")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").write_bytes(b"1")
    storage.path("lake/a/shop/link").symlink_to(tmp_path / "outside")
    assert storage.folders("lake/a") == ("shop", "shop-2")
    assert storage.folders("lake/none") == ()
    assert sorted(found.key for found in storage.tree("lake/a/shop")) == sorted(below)
    storage.remove_tree("lake/a/shop")
    storage.remove_tree("lake/a/shop")
    assert sorted(found.key for found in storage.tree("lake")) == ["lake/a/other", "lake/a/shop-2/1.parquet"]
    assert (tmp_path / "outside" / "mine").read_bytes() == b"1"
    assert storage.remove("lake/a/other")
    assert not storage.remove("lake/a/other")


def write_and_fail(storage: Storage, error: Exception) -> None:
    with storage.writing("lake/a") as path:
        path.write_bytes(b"half")
        raise error


def test_a_failed_write_leaves_the_old_object_and_nothing_else(storage: Storage) -> None:
    storage.write_bytes("lake/a", b"old")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(storage, ZeroDivisionError())
    assert storage.read_bytes("lake/a") == b"old"
    assert names(storage.root / "lake") == ["a"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_worth_another_try_and_says_where(storage: Storage, code: int) -> None:
    storage.write_bytes("lake/a", b"old")
    with pytest.raises(TransientError, match=r"No space left while writing file:.*/lake/a: free some space"):
        write_and_fail(storage, OSError(code, os.strerror(code)))
    assert storage.read_bytes("lake/a") == b"old"
    assert names(storage.root / "lake") == ["a"]


def test_other_errors_of_the_disk_stay_as_they_are(storage: Storage) -> None:
    storage.write_bytes("lake/a/b", b"")
    with pytest.raises(OSError, match="directory"):
        storage.write_bytes("lake/a", b"x")
    with pytest.raises(FileNotFoundError):
        storage.put_file("lake/new", storage.root / "missing")
    assert names(storage.root / "lake") == ["a"]


def test_readers_see_the_old_object_or_the_new_one_while_it_is_replaced(storage: Storage) -> None:
    versions = [bytes([letter]) * 300_000 for letter in b"ab"]
    storage.write_bytes("lake/x", versions[0])
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(storage.read_bytes("lake/x"))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(200):
        storage.write_bytes("lake/x", versions[turn % 2])
    done.set()
    for reader in readers:
        reader.join()
    assert len(seen) > 3
    assert set(seen) <= set(versions)


def test_an_open_reader_keeps_its_version(storage: Storage) -> None:
    storage.write_bytes("lake/x", b"old")
    with storage.path("lake/x").open("rb") as reader:
        storage.write_bytes("lake/x", b"new")
        assert reader.read() == b"old"


def test_a_listing_has_the_files_of_one_folder_without_hidden_ones(storage: Storage) -> None:
    for key in ("a.csv", "sub/b.csv", ".hidden", ".tmp-1"):
        storage.write_bytes(f"uploads/orders/{key}", b"12")
    (storage.root / "uploads/orders/dangling").symlink_to("nowhere")
    assert [(item.key, item.size) for item in storage.list("uploads/orders")] == [("uploads/orders/a.csv", 2)]
    assert list(storage.list("uploads/none")) == []


def test_a_folder_that_cannot_be_read_is_an_error_and_not_empty(storage: Storage) -> None:
    storage.write_bytes("uploads/orders", b"a file where a folder should be")
    with pytest.raises(NotADirectoryError):
        list(storage.list("uploads/orders"))


def test_whatever_arrives_moves_forward_in_time_also_with_an_old_date_of_its_own(storage: Storage) -> None:
    source = storage.root.parent / "old.csv"
    source.write_bytes(b"12")
    os.utime(source, ns=(10**9, 10**9))
    storage.write_bytes("uploads/orders/first.csv", b"1")
    folder = storage.root / "uploads/orders"
    shutil.copy2(source, folder / "copied.csv")
    source.rename(folder / "moved.csv")
    os.utime(folder / "first.csv", ns=(10**9, 10**9))
    found = listed(storage)
    assert (folder / "moved.csv").stat().st_mtime_ns == 10**9
    earliest = min(item.modified_ns for item in found.values())
    assert earliest > 1_600_000_000 * 10**9
    shutil.copy2(folder / "moved.csv", folder / "copied.csv")
    assert listed(storage)["copied.csv"].modified_ns >= found["copied.csv"].modified_ns


@pytest.mark.parametrize("change", ["replaced by equal bytes", "other bytes of equal size", "touched"])
def test_every_write_changes_the_etag(storage: Storage, change: str) -> None:
    key = "uploads/orders/a.csv"
    storage.write_bytes(key, b"12")
    before = listed(storage)["a.csv"]
    assert listed(storage)["a.csv"] == before
    if change == "replaced by equal bytes":
        with storage.writing(key) as path:
            path.write_bytes(b"12")
            os.utime(path, ns=(0, storage.path(key).stat().st_mtime_ns))
    elif change == "touched":
        os.utime(storage.path(key), ns=(5, 5))
    else:
        storage.path(key).write_bytes(b"34")
        os.utime(storage.path(key), ns=(0, before.modified_ns + 1))
    assert listed(storage)["a.csv"].etag != before.etag


@pytest.mark.parametrize("folder", ["[a]", "a*", "b?", "[!x]y"])
def test_parquet_is_read_from_the_folder_of_that_name_and_no_other(tmp_path: Path, folder: str) -> None:
    for name in ("a", "ax", "bx", "zy", folder):
        FileStorage(uri=(tmp_path / name).as_uri()).write_parquet("lake/t.parquet", pl.DataFrame({"of": [name]}))
    found = FileStorage(uri=(tmp_path / folder).as_uri()).scan_parquet("lake/t.parquet").collect()
    assert found["of"].to_list() == [folder]


def test_parquet_comes_back_as_it_was_lazy_or_not(storage: Storage) -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "ä"]})
    storage.write_parquet("lake/eager.parquet", frame)
    storage.write_parquet("lake/lazy.parquet", frame.lazy().filter(pl.col("a") == 1))
    assert storage.scan_parquet("lake/eager.parquet").collect().equals(frame)
    assert storage.scan_parquet("lake/lazy.parquet").collect().equals(frame.head(1))
    with pytest.raises(FileNotFoundError, match=r"lake/none\.parquet"):
        storage.scan_parquet("lake/none.parquet")


class Disk:
    """What a power cut would find: each real fsync, and which names a folder had when it was written to the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[tuple[str, int, tuple[str, ...]]] = []
        real = os.fsync

        def fsync(handle: int) -> None:
            real(handle)
            path = Path(f"/proc/self/fd/{handle}").readlink()
            names = tuple(sorted(entry.name for entry in path.iterdir())) if path.is_dir() else ()
            self.written.append((path.name, path.stat().st_size if not path.is_dir() else -1, names))

        monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells a handle's file by /proc")
def test_a_file_is_on_the_disk_before_its_name_is_and_new_folders_before_what_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, disk = FileStorage(uri=tmp_path.as_uri()), Disk(monkeypatch)
    storage.write_bytes("lake/orders/a.bin", b"12345")
    names = {name: listed for name, size, listed in disk.written if size < 0}
    assert [name if size < 0 else size for name, size, _ in disk.written] == [tmp_path.name, "lake", 5, "orders"]
    (while_written,) = (name for name, size, _ in disk.written if size == 5)
    assert while_written.startswith(TEMPORARY_PREFIX)
    assert names == {tmp_path.name: ("lake",), "lake": ("orders",), "orders": ("a.bin",)}
    disk.written.clear()
    storage.write_parquet("lake/orders/a.parquet", pl.DataFrame({"a": [1]}))
    assert [(name, size) for name, size, _ in disk.written[1:]] == [("orders", -1)]
    assert disk.written[0][1] == storage.size("lake/orders/a.parquet")
