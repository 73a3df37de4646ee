"""`orders`: any table of orders with an order date and a numeric target, learned by SageMaker's built-in XGBoost."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from optiflow.artifact import MODEL_FILE
from optiflow.baselines import fit_baselines
from optiflow.errors import JobFailedError
from optiflow.learners.hyperparameters import Value, validate_hyperparameters
from optiflow.options import DatasetOptions
from optiflow.pipelines.finished import FinishedRun, Kept, Learned
from optiflow.pipelines.orders.feature_encoding import FeatureEncoder
from optiflow.pipelines.orders.features import are_whole
from optiflow.pipelines.orders.furthest_off import PREDICTIONS_FILE, furthest_off, told_orders, what_to_do
from optiflow.pipelines.orders.training import mean_contributions, prepare_training
from optiflow.pipelines.spec import Pipeline, Result, ScoringInputs, TrainingInputs
from optiflow.report.extras import Download, Extras, Headline
from optiflow.report.model import LeftOut
from optiflow.split import ROW

ENCODER_FILE = "encoder.json"
LEFT_OUT_FILE = "left_out.json"

# Small steps and shallow trees with early stopping: a choice that holds from a hundred rows to millions. Never
# tuned on anybody's test rows.
HYPERPARAMETERS = {
    "objective": "reg:squarederror",
    "eval_metric": "rmse",
    "num_round": "600",
    "early_stopping_rounds": "30",
    "eta": "0.05",
    "max_depth": "5",
    "min_child_weight": "5",
    "subsample": "0.8",
    "colsample_bytree": "0.8",
    "tree_method": "hist",
    "seed": "42",
}


class Orders(Pipeline):
    """Columns with no fixed meaning: options name target and date, features are chosen and encoded by what they hold."""

    name = "orders"
    description = "Predicts a numeric column of an orders table from its other columns, the calendar and FRED series."
    algorithm = "xgboost"
    report = "mse_report"
    report_reads = (MODEL_FILE,)
    results = {
        "predictions": Result(
            "One prediction per held-out row, after what the file says of it.",
            {
                ROW: ("Int64", "Number of the row in the uploaded file, the header being row 1"),
                "date": ("Date", "The order date"),
                "predicted": ("Float64", "The model's prediction of the target"),
            },
        )
    }

    @property
    def learner(self) -> None:
        """SageMaker's own."""

    @property
    def default_hyperparameters(self) -> Mapping[str, str]:
        """For SageMaker's built-in XGBoost."""
        return HYPERPARAMETERS

    def check_hyperparameters(self, values: Mapping[str, str]) -> Mapping[str, Value]:
        """As SageMaker's built-in XGBoost takes them."""
        return validate_hyperparameters(values)

    def training(self, train: pl.DataFrame, options: DatasetOptions) -> TrainingInputs:
        """Encoded channels, the target first; the encoder is kept for the rows to score."""
        data = prepare_training(
            train, target=str(options.target), date_column=str(options.date_column), options=options
        )
        left_out = json.dumps([vars(column) for column in data.left_out], ensure_ascii=False)
        return TrainingInputs(
            channels={"train": data.train, "validation": data.validation},
            files={ENCODER_FILE: data.encoder.to_json(), LEFT_OUT_FILE: left_out},
            shown={
                "left_out": {column.column: column.reason for column in data.left_out},
                "features": data.encoder.names,
            },
        )

    def scoring(self, tables: Mapping[str, pl.DataFrame], options: DatasetOptions, kept: Kept) -> ScoringInputs:
        """The held-out rows, encoded as the training rows were."""
        encoder, rows = _encoder(kept), tables["test"]
        named = rows.select(ROW, date=encoder.date_column)
        shown = {"unseen_categories": encoder.unseen(rows)}
        return ScoringInputs({"predictions": encoder.transform(rows)}, named, shown)

    def read_result(self, name: str, outputs: Path, rows: pl.DataFrame | None) -> pl.DataFrame:
        """Bare numbers, in the order of the rows."""
        assert rows is not None
        text = "\n".join(path.read_text() for path in sorted(outputs.rglob("*.out")))
        values = pl.Series("predicted", text.split(), dtype=pl.String).cast(pl.Float64)
        if len(values) != rows.height:
            raise JobFailedError(f"The job made {len(values)} predictions for {rows.height} rows.")
        return rows.with_columns(values)

    def learned(self, run: FinishedRun) -> Learned:
        """The encoder's features, and the columns that it was not given."""
        encoder = _encoder(run.kept)
        left_out = [LeftOut(**column) for column in json.loads(run.kept(LEFT_OUT_FILE))]
        return Learned(encoder.names, left_out, encoder.unseen(run.test))

    def baselines(self, run: FinishedRun) -> Mapping[str, pl.Series]:
        """The mean, and that of the best group: text, codes, yes or no, whole numbers, month or weekday."""
        encoder = _encoder(run.kept)
        # Whatever the encoder makes of whole numbers: 0 and 1 may say "on offer", and two stores may be called 1 and 2.
        numbers = [
            name
            for name in encoder.numeric
            if name not in run.options.fred_series
            and (run.train.schema[name] == pl.Boolean or are_whole(run.train[name]))
        ]
        month, weekday = f"month of {encoder.date_column}", f"weekday of {encoder.date_column}"
        day = pl.col(encoder.date_column).dt
        parts = {month: day.month(), weekday: day.weekday()}
        parts = {name: part for name, part in parts.items() if name not in run.train.columns}
        train, held = (
            rows.with_columns(part.alias(name) for name, part in parts.items()) for rows in (run.train, run.held_out)
        )
        groups = [name for name in (*encoder.categorical, *numbers) if name in train.columns]
        by_date = encoder.date_column if run.options.split.strategy == "time" else None
        fitted = fit_baselines(train, encoder.target, [*groups, *parts], date_column=by_date)
        return {baseline.name: baseline.predict(held) for baseline in fitted}

    def remarks(self, rows: pl.DataFrame, options: DatasetOptions) -> tuple[str, ...]:
        """That the target can be told from other columns."""
        from optiflow.pipelines.orders.leaks import caution

        target = str(options.target)
        numbers = [
            n for n, t in rows.schema.items() if t.is_numeric() and n not in (ROW, target, *options.drop_columns)
        ]
        found = caution(rows, numbers, target)
        return () if found is None else (found.removeprefix("But "),)

    def contributions(self, run: FinishedRun) -> Mapping[str, float]:
        """Mean |SHAP| of the trees."""
        return mean_contributions(run.model / MODEL_FILE, _encoder(run.kept), run.held_out)

    def extras(self, run: FinishedRun) -> Extras:
        """The orders by name, those that were furthest off, and a word of caution where features tell the target."""
        from optiflow.pipelines.orders.leaks import caution  # reckons with numpy, which the code location does without

        encoder, options = _encoder(run.kept), run.options
        numbers = [n for n in encoder.numeric if n in run.train.columns and n not in options.fred_series]
        left_out = [LeftOut(**column) for column in json.loads(run.kept(LEFT_OUT_FILE))]
        unit = options.unit or options.currency or ""
        told = told_orders(run.held_out, encoder.target, left_out, options.fred_series)
        table = furthest_off(told, encoder.date_column, left_out, unit)
        predicted = told["predicted"].sum()
        return Extras(
            headlines=(
                Headline(f"Predicted {encoder.target} in all", f"{predicted:,.0f} {unit}".strip()),
                Headline("What came in all", f"{told['actual'].sum():,.0f} {unit}".strip()),
            ),
            tables=(table,),
            actions=tuple(what_to_do(told, table, encoder.target)),
            downloads=(
                Download(
                    PREDICTIONS_FILE,
                    "predictions",
                    "Every held-out order, without columns that tell of persons, with what was predicted and what came.",
                    told,
                ),
            ),
            unit=unit,
            per="order",
            caution=caution(run.train, numbers, encoder.target),
        )


def _encoder(kept: Kept) -> FeatureEncoder:
    return FeatureEncoder.from_json(kept(ENCODER_FILE))


ORDERS = Orders()
