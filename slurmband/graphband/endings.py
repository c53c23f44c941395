"""How the end of the user's code is written down: completed, or failed with its traceback."""

import sys
import traceback

from slurmband.domain.attempts import Ending, Outcome, Reason

COMPLETED = Ending(Outcome.COMPLETED)
#: A worker that was interrupted hands its task back unharmed.
INTERRUPTED = Ending(Outcome.RELEASED, Reason.DRAINED)


def failure(error: BaseException) -> Ending:
    """Describe an exception: one line as the reason, and the whole traceback."""
    lines = traceback.format_exception_only(error)
    reason = lines[-1].strip() if lines else type(error).__name__
    return Ending(Outcome.FAILED, reason, "".join(traceback.format_exception(error)))


def abandoned() -> Ending:
    """Describe a bare loop that was left: by an exception if the interpreter knows of one."""
    error = sys.exc_info()[1] or getattr(sys, "last_value", None)
    if error is None or isinstance(error, GeneratorExit):
        return Ending(Outcome.FAILED, "the loop was left by break, or by an exception")
    return failure(error)
