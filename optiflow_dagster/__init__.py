"""The code location: definitions, partitions, jobs, schedules, sensors, and the command line.

What belongs here: what Dagster loads, and what starts runs. What does not: assets (`assets`), adapters (`resources`)
and computations (`optiflow`).
"""
