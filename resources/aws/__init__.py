"""What every adapter of an AWS service shares: clients, and how AWS's errors are told.

What belongs here: sessions, retries, endpoints, and the translation of error codes. What does not: what is asked of a
service (`resources.storage.s3`, `resources.jobs.sagemaker`, `resources.upload_queue`).
"""
