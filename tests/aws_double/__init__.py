"""A test double of AWS that does the work: moto's server over real HTTP, around which jobs really run, endpoints really
serve, and faults can be scripted.

moto keeps the state of S3, SQS, SNS, STS, IAM and CloudWatch Logs; this package adds SageMaker's jobs and endpoints, the
checking of every request against botocore's models, the log of requests, and faults. Nothing here is a claim about AWS
that the developer guide does not make. It runs in a process of its own: `python -m aws_double.serve`; tests talk to it by
`aws_double.client`.
"""
