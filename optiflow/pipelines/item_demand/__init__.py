"""Daily demand for items.

What belongs here: the chain's answers and the sample. What does not: the models (`optiflow.learners.item_demand`), and
what weekly sales of stores need too (`optiflow.pipelines.forecasting`).
"""
