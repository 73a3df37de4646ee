"""Error codes of AWS by what they mean to us. What does not belong here: what is said of them (`errors`)."""

MISSING = ("404", "NoSuchKey", "NotFound")
PRECONDITION = ("412", "PreconditionFailed", "ConditionalRequestConflict")
PASSING = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "EC2ThrottledException",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
    "SlowDown",
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ModelNotReadyException",
    "InternalDependencyException",
    "CapacityError",
    "ResourceLimitExceeded",
    "OverLimit",
    "429",
    "500",
    "502",
    "503",
    "504",
    "509",
)
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
UNKNOWN_CREDENTIALS = (
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "AuthFailure",
    "InvalidToken",
    "401",
)
FORBIDDEN = ("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "NotAuthorized", "403")
WRONG_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
NO_QUEUE = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
