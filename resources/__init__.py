"""The world outside, one adapter a module: settings, storage, FRED, the catalog, jobs.

What belongs here: everything that reads or writes outside the process, behind typed resources. What does not:
assets and sensors (`assets`, `optiflow_dagster`), and computations on tables (`optiflow`).
"""
