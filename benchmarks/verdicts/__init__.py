"""Whether each pipeline calls a model useless that can know nothing, and a useful one useful.

What belongs here: samples whose cause is taken away, and the verdict that they get, one module a pipeline. What does not:
how good a model is (`benchmarks.accuracy`).
"""
