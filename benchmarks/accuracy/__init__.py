"""Accuracy on real data, one module per pipeline: `python -m benchmarks.accuracy`.

What belongs here: how a figure is measured without looking at what it is judged on. What does not: the models.
"""
