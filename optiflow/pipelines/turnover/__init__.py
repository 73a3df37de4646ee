"""Turnover days: how long a retailer's items take to sell, and the price that sells them.

What belongs here: the chain's answers, dates of items, what a model is judged by and against, the price grid, the tables
of its report, the sample. What does not: the model (`optiflow.learners.turnover`).
"""
