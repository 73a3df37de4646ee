"""The pipelines, one module each: defaults, schema and names. What all share is written once, in `assets`."""

from optiflow.pipelines.orders import ORDERS
from optiflow.pipelines.spec import Pipeline

PIPELINES: dict[str, Pipeline] = {pipeline.name: pipeline for pipeline in (ORDERS,)}
