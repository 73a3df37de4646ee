"""The report of one training: how good the model is beside a naive predictor, as JSON, Markdown and one HTML page.

What belongs here: the report's content, words, plots and forms. What does not: predicting, or where reports lie.
"""
