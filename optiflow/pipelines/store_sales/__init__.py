"""Weekly sales of stores.

What belongs here: the chain's answers, weeks, the tables of its report, the sample. What does not: the models
(`optiflow.learners.store_sales`), and what daily sales of items need too (`optiflow.pipelines.forecasting`).
"""
