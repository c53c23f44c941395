"""What a command writes to standard error as it goes."""

import logging
import time


class Line(logging.Formatter):
    """Time (UTC), level and message; the text of the time is made once a second."""

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self._second, self._time = -1, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's
        """Return when a record was made."""
        second = int(record.created)
        if second != self._second:
            self._time, self._second = time.strftime(datefmt or "", time.gmtime(second)), second
        return self._time


def log_to_stderr() -> None:
    """Let slurmband's log go to standard error, warnings only, with the time in UTC."""
    handler = logging.StreamHandler()
    handler.setFormatter(Line())
    root = logging.getLogger("slurmband")
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def log_more(*, verbose: bool) -> None:
    """Let the log show one line per transition."""
    logging.getLogger("slurmband").setLevel(logging.INFO if verbose else logging.WARNING)
