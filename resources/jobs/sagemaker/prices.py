"""What an hour of a SageMaker machine costs, to estimate what a job has cost.

An estimate, not a bill: on-demand prices of us-east-1, noted down by hand and not asked of AWS, for training, processing
and batch transform alike. Other regions cost up to half more; savings plans, free tier, disks and transfer are left out.
A machine that is not in the table has no estimate. To compare with: "Amazon SageMaker AI pricing".
"""

US_EAST_1_DOLLARS_AN_HOUR = {
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.m5.12xlarge": 2.765,
    "ml.m5.24xlarge": 5.53,
    "ml.m4.xlarge": 0.24,
    "ml.m4.2xlarge": 0.48,
    "ml.m4.4xlarge": 0.96,
    "ml.m4.10xlarge": 2.4,
    "ml.m4.16xlarge": 3.84,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.c5.9xlarge": 1.836,
    "ml.c5.18xlarge": 3.672,
    "ml.c4.xlarge": 0.239,
    "ml.c4.2xlarge": 0.477,
    "ml.c4.4xlarge": 0.955,
    "ml.c4.8xlarge": 1.909,
}


def estimated_cost(instance_type: str | None, seconds: int | None) -> float | None:
    """US dollars for that many machine-seconds, to a hundredth of a cent; None for a machine that is not in the table."""
    price = US_EAST_1_DOLLARS_AN_HOUR.get(instance_type or "")
    return None if price is None or seconds is None else round(price * seconds / 3600, 4)
