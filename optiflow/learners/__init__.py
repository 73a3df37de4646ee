"""Learners, one module each: train, predict, save, load.

What belongs here: what a model is and how it is fitted, on plain matrices. What does not: where the data lies
(`optiflow.container`, `resources`) and what the columns mean (`optiflow.pipelines`). The modules also run inside AWS's
XGBoost image, so they import nothing but the standard library, numpy, pyarrow and xgboost, inside functions.
"""
