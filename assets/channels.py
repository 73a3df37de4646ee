"""The files that jobs read: where they lie and in which form.

What does not belong here: what is in them (`optiflow.pipelines`).
"""

from collections.abc import Mapping

import polars as pl

from optiflow.container.channels import CSV
from resources.catalog.records import DatasetRecord
from resources.jobs.contract import Channel
from resources.storage import Storage


def channel_key(record: DatasetRecord, job: str, file: str) -> str:
    """Where an input of a job lies. Filed by the job's name, so that no later run changes what a job reads."""
    return f"lake/{record.pipeline}/channels/{record.dataset}/{job}/{file}"


def write_channel(storage: Storage, key: str, table: pl.DataFrame, shares: int) -> Channel:
    """Write a channel as one Parquet file, or as a folder with a share of the rows for each of several machines."""
    if shares == 1:
        storage.write_parquet(f"{key}.parquet", table)
        return Channel(storage.uri_for(f"{key}.parquet"))
    for share in range(shares):
        # Every n-th row: each machine sees all of the period.
        storage.write_parquet(f"{key}/{share:04d}.parquet", table.gather_every(shares, offset=share))
    return Channel(f"{storage.uri_for(key)}/", sharded=True)


def write_rows(storage: Storage, key: str, tables: Mapping[str, pl.DataFrame], form: str) -> Channel:
    """Write the rows to score in a folder, a file for each result."""
    if form == CSV:
        for name, rows in tables.items():
            with storage.writing(f"{key}/{name}.csv") as path:
                rows.lazy().sink_csv(path, include_header=False)
        return Channel(f"{storage.uri_for(key)}/", CSV)
    for name, rows in tables.items():
        storage.write_parquet(f"{key}/{name}.parquet", rows)
    return Channel(f"{storage.uri_for(key)}/")
