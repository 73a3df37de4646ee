"""`python -m benchmarks.accuracy`: a line for each figure. Exit code 1 if a bound is not kept."""

import argparse
import importlib
import os
import sys
import warnings
from pathlib import Path

from benchmarks.accuracy.figure import COLUMNS

MODULES = ("store_sales", "item_demand", "stock_movements", "turnover")
ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (14, 64, 24, 17, 14, 22, 3)


def main(arguments: list[str]) -> int:
    """Measure, print, and say whether all is well."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description="Accuracy on real data, on stated origins, beside naive methods; seeds are fixed.",
    )
    parser.add_argument("--only", choices=MODULES, help="measure this pipeline alone")
    chosen = parser.parse_args(arguments)
    data = Path(os.environ.get("OPTIFLOW_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        print(f"There is no real data at {data}: set OPTIFLOW_SHARED_DATA to its folder.", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")  # what the forecasting libraries say to their own developers
    print(_line(COLUMNS), flush=True)
    kept = True
    for name in MODULES:
        if chosen.only in (None, name):
            for figure in importlib.import_module(f"benchmarks.accuracy.{name}").figures(data):
                print(_line(figure.cells()), flush=True)
                kept &= figure.ok
    return 0 if kept else 1


def _line(cells: tuple[str, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
