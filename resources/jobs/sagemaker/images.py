"""What a job runs in and on: where AWS's XGBoost image lies, and what an hour of a machine costs.

What belongs here: asking the sagemaker SDK, which knows AWS's registries, and a table of prices. What does not: what runs
in the image.
"""

from functools import cache

from optiflow.errors import UserError

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
"""An estimate, not a bill: on-demand prices of us-east-1, noted down by hand and not asked of AWS, for training, processing
and batch transform alike. Other regions cost up to half more; savings plans, free tier, disks and transfer are left out.
A machine that is not in the table has no estimate. To compare with: "Amazon SageMaker AI pricing"."""


@cache
def xgboost_image(region: str, version: str) -> str:
    """The address of the image in the region's registry; no request is made.

    The SDK takes 4 seconds to import, once a process, so only a submission asks.

    Raises:
        UserError: AWS has no such version, or not in this region.
    """
    from sagemaker.core import image_uris

    try:
        return image_uris.retrieve("xgboost", region, version=version)
    except (ValueError, KeyError) as error:
        raise UserError(
            f"AWS has no XGBoost image {version!r} in region {region!r}: mend AWS_REGION or xgboost_version, or set "
            f"image_uri to a copy of the image. The SDK says: {error}"
        ) from error


def estimated_cost(instance_type: str | None, seconds: int | None) -> float | None:
    """US dollars for that many machine-seconds, to a hundredth of a cent; None for a machine that is not in the table."""
    price = US_EAST_1_DOLLARS_AN_HOUR.get(instance_type or "")
    return None if price is None or seconds is None else round(price * seconds / 3600, 4)
