"""`sources/pulled`: what was pulled from each API of `sources.yaml` into the landing folder, one partition a source.

What belongs here: the asset. What does not: the protocol and how far was read (`resources.sources`), and when it is due.
"""

from collections.abc import Sequence

import dagster as dg

from assets.failures import plain_failures
from resources.sources import Sources

KEY = dg.AssetKey(["sources", "pulled"])
SOURCE_PARTITIONS = "optiflow_sources"


def pulled_asset(partitions: dg.DynamicPartitionsDefinition, owners: Sequence[str] = ()) -> dg.AssetsDefinition:
    """The newest pull of a source: a file in its dataset's folder, which the uploads sensor takes from there."""

    @dg.asset(
        key=KEY,
        partitions_def=partitions,
        group_name="sources",
        owners=owners,
        kinds={"http", "parquet"},
        pool="sources",
        description="The newest pull of a source of sources.yaml. What is new becomes a file of its dataset's folder.",
    )
    @plain_failures
    def pulled(context: dg.AssetExecutionContext, sources: Sources) -> dg.MaterializeResult:
        found = sources.pull(context.partition_key)
        for note in found.notes:
            context.log.warning(note)
        shown = {"rows": found.rows, "rows_read": found.read, "pages": found.pages}
        shown |= {"file": found.file} if found.file else {}
        shown |= {"up_to": str(found.mark)} if found.mark is not None else {}
        shown |= {"notes": " ".join(found.notes)} if found.notes else {}
        return dg.MaterializeResult(metadata=shown)

    return pulled
