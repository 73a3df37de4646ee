"""The pipelines: their registry. Each has a room of its own with all that only it knows.

What belongs here: the spec of a pipeline, finished results, samples, and the rooms; `forecasting` is what forecasts share.
What does not: what all pipelines share (reading uploads, enrichment, splits, reports) and their learners.
"""

from optiflow.errors import UserError
from optiflow.pipelines.item_demand.pipeline import ITEM_DEMAND
from optiflow.pipelines.orders.pipeline import ORDERS
from optiflow.pipelines.spec import Pipeline
from optiflow.pipelines.stock_movements.pipeline import STOCK_MOVEMENTS
from optiflow.pipelines.store_sales.pipeline import STORE_SALES
from optiflow.pipelines.turnover.pipeline import TURNOVER

PIPELINES: dict[str, Pipeline] = {
    pipeline.name: pipeline for pipeline in (ORDERS, STORE_SALES, ITEM_DEMAND, TURNOVER, STOCK_MOVEMENTS)
}


def pipeline_named(name: str) -> Pipeline:
    """The pipeline of this name.

    Raises:
        UserError: there is none; lists those that there are.
    """
    if name not in PIPELINES:
        raise UserError(f"There is no pipeline {name!r}: use {', '.join(PIPELINES)}.")
    return PIPELINES[name]
