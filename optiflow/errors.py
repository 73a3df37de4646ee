"""The errors that callers tell apart: what a user can mend, what passes by itself, what a job says it died of.

Everything else is a bug and crashes loudly. Nothing here knows who shows the message.
"""


class OptiflowError(Exception):
    """Base of every error that OptiFlow raises on purpose."""


class UserError(OptiflowError):
    """The input is wrong and the user can mend it; never retried.

    The message says what was wrong, where (file, row, column, variable) and what to do next.
    """


class TransientError(OptiflowError):
    """Something outside failed in a way that may pass by itself; worth a later try."""


class JobFailedError(OptiflowError):
    """A training or prediction job ended without a result; carries the job's own reason."""
