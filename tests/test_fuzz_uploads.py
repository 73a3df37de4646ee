"""Thousands of files as nobody should make them: each is read, or refused in one message, within bounds of time and memory."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SEED = int(os.environ.get("OPTIFLOW_TEST_FUZZ_SEED", "1"))
FILES = int(os.environ.get("OPTIFLOW_TEST_FUZZ_FILES", "2000"))
AT_ONCE = 500
"""A process reads so many: what one file breaks does not hide the others."""
MOST_SECONDS, MOST_MB = 60, 1000
FINE = ("accepted", "accepted in part", "refused")


def read(first: int, count: int) -> tuple[list[dict[str, object]], list[str]]:
    """What reading the files came to, and what else the process said or died of."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "fuzz_uploads.py"), str(SEED), str(first), str(count)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(here.parent), "RUST_BACKTRACE": "0"},
        timeout=MOST_SECONDS * 30,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ended = [line for line in lines if "outcome" in line]
    faults = [f"said beside: {line[:200]}" for line in done.stderr.splitlines() if line.strip()][:5]
    if done.returncode:
        last = lines[-1] if lines else {"number": first}
        faults.append(f"file {last['number']}: the process died ({done.returncode})")
        if int(last["number"]) + 1 < first + count:
            more, others = read(int(last["number"]) + 1, first + count - int(last["number"]) - 1)
            ended, faults = ended + more, faults + others
    return ended, faults


@pytest.mark.timeout(3600)
def test_every_file_is_read_or_refused_in_one_message_within_a_minute_and_a_gigabyte(
    capsys: pytest.CaptureFixture[str],
):
    ended: list[dict[str, object]] = []
    faults: list[str] = []
    for first in range(0, FILES, AT_ONCE):
        part, told = read(first, min(AT_ONCE, FILES - first))
        ended, faults = ended + part, faults + told
    totals = Counter((str(line["kind"]), str(line["outcome"])) for line in ended)
    with capsys.disabled():
        slowest, largest = (
            max(ended, key=lambda x: float(str(x["seconds"]))),
            max(int(str(x["peak_mb"])) for x in ended),
        )
        print(f"\n{len(ended):,} files of seed {SEED}; slowest {slowest['seconds']} s; peak {largest:,} MB")
        for (kind, outcome), count in sorted(totals.items()):
            print(f"{count:>7,} {kind:<8} {outcome}")
    faults += [f"file {x['number']}: {x['outcome']}" for x in ended if x["outcome"] not in FINE]
    faults += [f"file {x['number']}: {x['seconds']} s" for x in ended if float(str(x["seconds"])) > MOST_SECONDS]
    assert faults == []
    assert len(ended) == FILES
    assert largest <= MOST_MB
    # A fuzzer whose files are all refused proves little.
    for pipeline in {str(line["pipeline"]) for line in ended}:
        taken = [x for x in ended if x["pipeline"] == pipeline and str(x["outcome"]).startswith("accepted")]
        assert len(taken) * 50 > FILES / 5, f"only {len(taken)} files of {pipeline} were accepted"
