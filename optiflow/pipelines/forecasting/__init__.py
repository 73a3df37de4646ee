"""What the pipelines share that forecast sales of many series: of stores, or of a store's items.

What belongs here: the common part of their specs, repeated days, days without a row, hold-outs at the end, naive
forecasts, totals and their picture; all on polars tables whose columns the caller names. What does not: models
(`optiflow.learners`), and what one pipeline alone needs.
"""
