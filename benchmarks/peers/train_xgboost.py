"""Training without a job: `… TABLE MODEL ROUNDS PARAMS` reads Parquet with pyarrow, trains, and saves the model."""

import json
import sys

import pyarrow.parquet as pq
import xgboost


def main(table: str, model: str, rounds: int, params: dict[str, str]) -> None:
    """The shortest honest program: it does not even look at its metric."""
    rows = pq.read_table(table)
    data = xgboost.DMatrix(rows.drop_columns(["target"]), label=rows["target"].to_numpy())
    xgboost.train(params, data, num_boost_round=rounds).save_model(model)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
