"""The science of OptiFlow: pure functions and classes, without dagster, boto3 or sagemaker.

What belongs here: reading and typing uploads, enrichment, splits, encoders, learners, metrics, reports, the
container program. What does not: anything that knows where data lies or who runs it (`resources`, `assets`).
"""

__version__ = "0.1.0"
