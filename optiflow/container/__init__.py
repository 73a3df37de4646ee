"""The program that trains and scores: in a SageMaker container, or in a local process with the same folders.

`python -m optiflow.container train|transform [--prefix /opt/ml]`, or `optiflow_job.py` (the module `job`) out of the
packed source. What belongs here: SageMaker's folder layout, its channels and its way to report failure. What does not:
the learners themselves (`optiflow.learners`) and whoever starts the program (`resources.jobs`). It also runs inside
AWS's XGBoost image, so it imports nothing but the standard library, numpy, pyarrow and xgboost, inside functions.
"""
