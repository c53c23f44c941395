"""How the end of the user's code is written down: completed, or failed with its traceback."""

import sys
import traceback
from pathlib import Path
from typing import Final

from slurmband.domain.attempts import Ending, Outcome, Reason
from slurmband.errors import HandedBack, TasksFailed, TimeLimitReached

COMPLETED = Ending(Outcome.COMPLETED)
#: A worker that was interrupted, or asked to leave, hands its task back unharmed.
INTERRUPTED = Ending(Outcome.RELEASED, Reason.DRAINED)
#: The same, where the task's own code had saved what it had done.
SAVED = Ending(Outcome.RELEASED, Reason.HANDED_BACK)
#: The same, where it was its job's end that asked.
AT_THE_WALL = Ending(Outcome.RELEASED, Reason.TIME_LIMIT)


#: Of a task that a worker took in advance and did not come to.
NOT_BEGUN = Ending(Outcome.RELEASED, Reason.NOT_BEGUN)


#: A task that the time its job has left is too short for.
NO_TIME = Ending(Outcome.RELEASED, Reason.NO_TIME)


class Ended(TasksFailed):
    """Raised in a task by what knows its ending, where a traceback would tell nothing."""

    def __init__(self, task: str, ending: Ending) -> None:
        self.ending = ending
        super().__init__(f"task {task!r} {ending.outcome}: {ending.reason}")


def failure(error: BaseException) -> Ending:
    """Describe an exception: for a failure by one line as the reason, and the whole traceback."""
    if isinstance(error, TimeLimitReached):
        return Ending(Outcome.KILLED, Reason.OVERRUN, _traceback(error))
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, HandedBack):
        return SAVED
    if isinstance(error, Ended):
        return error.ending
    lines = traceback.format_exception_only(error)
    reason = lines[-1].strip() if lines else type(error).__name__
    return Ending(Outcome.FAILED, _storable(reason), _traceback(error))


def _traceback(error: BaseException) -> str:
    """Return the traceback from where the user's code begins; all of it, where that never began."""
    place = error.__traceback__
    while place is not None and place.tb_frame.f_code.co_filename.startswith(_OURS):
        place = place.tb_next
    lines = traceback.format_exception(type(error), error, place or error.__traceback__)
    return _storable("".join(lines))


def _storable(text: str) -> str:
    """Write out what is no UTF-8, such as bytes of a file's name: a database takes none of it."""
    return text.encode(errors="backslashreplace").decode()


#: What calls the user's code lies in this folder.
_OURS: Final = f"{Path(__file__).parent}/"


def for_memory(ending: Ending) -> Ending:
    """Describe a failure during which the kernel killed something that the task had started."""
    told = ending.error or ending.reason
    return Ending(Outcome.KILLED, Reason.OUT_OF_MEMORY, told)


#: A bare loop cannot see why it was left.
ABANDONED = Ending(Outcome.FAILED, "the loop was left by break, or by an exception")


def at_exit() -> Ending:
    """Describe a bare loop that the interpreter's end finds open: by what ended the interpreter."""
    error = getattr(sys, "last_value", None)
    return failure(error) if isinstance(error, BaseException) else ABANDONED
