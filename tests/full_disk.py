"""A real disk that is full, for tests: run as a program in a mount namespace of its own (`unshare -rm`).

`python full_disk.py HOME` makes a project in HOME whose storage is a file system of four megabytes, runs the chain
while less and less space is left, frees it, trains, and prints what was seen as JSON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from orders_files import OPTIONS, csv
from project import Project, assert_lake_is_whole

SIZE = 4 << 20
LEFT = (48 << 10, 0)
BLOCK = 4096


def mount(folder: Path, size: int) -> None:
    """Put an empty file system of `size` bytes, held in memory, over a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)


def fill(ballast: Path, left: int) -> None:
    """Leave about `left` bytes of the file system."""
    room = os.statvfs(ballast.parent)
    ballast.write_bytes(bytes(max(room.f_bavail * room.f_bsize - left, 0)))


def main(home: Path) -> None:
    """Run and print; see above."""
    storage = home / "disk"
    mount(storage, SIZE)
    os.environ["OPTIFLOW_STORAGE"] = storage.as_uri()
    project = Project(home)
    upload = storage / "uploads" / "orders" / "orders.csv"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(csv())
    upload.with_name("orders.csv.options.yaml").write_text(json.dumps(OPTIONS))
    seen = []
    for left in LEFT:
        fill(storage / "ballast", left)
        said = project.optiflow("run", "orders", "orders")
        (storage / "ballast").unlink()
        assert_lake_is_whole(storage)
        seen.append({"code": said.code, "err": said.err, "upload_is_whole": upload.read_bytes() == csv()})
    done = project.run("orders_training_job", "orders")
    assert_lake_is_whole(storage)
    print(json.dumps({"full": seen, "works_again": done.success}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
