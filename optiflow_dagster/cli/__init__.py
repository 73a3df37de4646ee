"""The command line `optiflow`. Exit codes: 0 done, 1 failed, 2 the user's input is wrong.

What belongs here: reading arguments, calling the floors below, showing what came back. What does not: work that a
sensor or the UI could not do as well.
"""

from optiflow_dagster.cli.commands import main

__all__ = ["main"]
