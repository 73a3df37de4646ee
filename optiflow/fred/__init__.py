"""FRED series as they were known at the time: tables, publication dates, the as-of calendar, a bundled snapshot.

Nothing here talks to FRED; that is `resources.fred`.
"""
