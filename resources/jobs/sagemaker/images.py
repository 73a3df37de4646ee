"""Where AWS's XGBoost image lies, by region and version.

What belongs here: asking the sagemaker SDK, which knows AWS's registries. What does not: what runs in the image.
"""

from functools import cache

from optiflow.errors import UserError


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
