"""How often a folder of files that grows is trained on anew: as its options say, in listing and in queue mode.

What does not belong here: when a folder is taken (`uploads_decision`, `upload_events_decision`).
"""

from optiflow import spans
from optiflow.errors import TransientError, UserError
from optiflow.options import DatasetOptions, merge_options
from resources.landing import LandedFile, read_options
from resources.storage import Storage


def pause_ns(storage: Storage, folder: LandedFile) -> int:
    """How long a folder only collects after it was taken, in nanoseconds."""
    try:
        options = merge_options(read_options(storage, folder))
    except (TransientError, UserError):  # the run that follows says what is wrong
        options = DatasetOptions()
    return spans.seconds(options.retrain_every) * 10**9
