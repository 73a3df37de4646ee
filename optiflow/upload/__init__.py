"""Reading uploads: a user's file into typed rows, and rejected rows with their reasons.

What belongs here: formats (CSV, Excel, Parquet, compressed or not), types inferred from text, column roles, row-level
validation. What does not: where files lie, features, and any pipeline's own schema.
"""

from optiflow.upload.reading import Upload, read_upload

__all__ = ["Upload", "read_upload"]
