"""`orders`: any table of orders with an order date and a numeric target, learned by SageMaker's built-in XGBoost."""

from optiflow.pipelines.spec import Pipeline

ORDERS = Pipeline(
    name="orders",
    description="Predicts a numeric column of an orders table from its other columns, the calendar and FRED series.",
    algorithm="xgboost",
    report="mse_report",
    # Small steps and shallow trees with early stopping: a choice that holds from a hundred rows to millions. Never
    # tuned on anybody's test rows.
    default_hyperparameters={
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
    },
)
