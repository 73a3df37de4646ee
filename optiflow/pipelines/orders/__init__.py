"""Orders: any table with an order date and a number to predict.

What belongs here: the chain's answers, which columns serve as features and how they become numbers, the sample. What
does not: the model (`optiflow.learners.xgboost`) and the FRED series that enrich any table (`optiflow.fred`).
"""
