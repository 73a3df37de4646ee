"""Sales of many series (a store, or a store's item) over time: what the pipelines that forecast them share.

What belongs here: repeated days, hold-outs at the end, naive forecasts, totals and their picture; all on polars tables
whose columns the caller names. What does not: models (`optiflow.learners`), and what one pipeline alone needs.
"""
