"""A clock that stands still until a test moves it."""


class HandClock:
    """Goes on only by `forward` and by `sleep`; call the instance to read it."""

    def __init__(self, start: float = 1000.0) -> None:
        self._time = start
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self._time

    def now(self) -> float:
        return self._time

    def monotonic(self) -> float:
        return self._time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        self._time += seconds
