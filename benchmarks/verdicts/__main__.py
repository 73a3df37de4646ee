"""`python -m benchmarks.verdicts`: every verdict, a line each. Exit code 1 if one is not as it must be."""

import argparse
import sys
from importlib import import_module

PIPELINES = ("orders", "store_sales", "item_demand", "turnover")
"""`stock_movements` has no truth to judge by, and gives no verdict."""


def main(arguments: list[str]) -> int:
    """Ask, print, and say whether only the genuine samples were called better."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--only", choices=PIPELINES, help="this pipeline alone")
    chosen = parser.parse_args(arguments)
    kept = True
    for name in [chosen.only] if chosen.only else PIPELINES:
        module = import_module(f"benchmarks.verdicts.{name}")
        for seed in (module.GENUINE, *module.SEEDS):
            ((_, outcome, sentence),) = module.verdicts((seed,))
            genuine = seed == module.GENUINE
            kept &= (outcome == "better") == genuine
            print(f"{name:<14}{'genuine' if genuine else f'seed {seed}':<10}{outcome:<9}{sentence}", flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
