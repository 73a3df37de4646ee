"""Datasets whose id is from the time before lost letters and cut-off ends of a name counted: they keep it.

What belongs here: which of both ids an upload goes by. What does not: how a name becomes an id (`optiflow.dataset_id`).
"""

import dagster as dg

from optiflow.dataset_id import folder_stem, former_id
from optiflow_dagster.partitions import DATASETS


def id_in_use(instance: dg.DagsterInstance, pipeline: str, dataset: str, stem: str) -> str:
    """The former id of an upload if the dataset of that id was last made from a file of this name, else `dataset`.

    Args:
        instance: Knows which datasets there are, and what they were made from.
        pipeline: The pipeline's name.
        dataset: The id that the name makes now.
        stem: The upload's name without suffixes.
    """
    former = former_id(stem)
    if former in (None, dataset) or not instance.has_dynamic_partition(str(DATASETS[pipeline].name), former):
        return dataset
    asked = dg.AssetRecordsFilter(asset_key=dg.AssetKey([pipeline, "upload"]), asset_partitions=[former])
    for record in instance.fetch_materializations(asked, limit=1).records:
        made = record.asset_materialization
        file = made.metadata.get("file") if made else None
        return former if file is not None and folder_stem(str(file.value)) == stem else dataset
    return dataset
