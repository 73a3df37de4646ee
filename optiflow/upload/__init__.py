"""Reading uploads: a user's file into typed rows, and rejected rows with their reasons.

What belongs here: formats (CSV, Excel, Parquet, compressed or not), types inferred from text, column roles, row-level
validation. What does not: where files lie, features, and any pipeline's own schema. `reading` is the way in; it is not
imported here, since pipelines want the words of `faults` alone and the readers take over a second to load.
"""
