"""The pipelines, one module each: defaults, schema and names. What all share is written once, in `assets`."""

from optiflow.pipelines.item_demand import ITEM_DEMAND
from optiflow.pipelines.orders import ORDERS
from optiflow.pipelines.spec import Pipeline
from optiflow.pipelines.stock_movements import STOCK_MOVEMENTS
from optiflow.pipelines.store_sales import STORE_SALES
from optiflow.pipelines.turnover import TURNOVER

PIPELINES: dict[str, Pipeline] = {
    pipeline.name: pipeline for pipeline in (ORDERS, STORE_SALES, ITEM_DEMAND, TURNOVER, STOCK_MOVEMENTS)
}
