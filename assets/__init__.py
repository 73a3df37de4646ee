"""The asset graph: the chain that all pipelines share, the assets that one alone has, the checks.

What belongs here: assets that read, call the science and return with metadata. What does not: computations
(`optiflow`), adapters (`resources`), and what starts runs (`optiflow_dagster`).
"""
