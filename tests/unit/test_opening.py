"""A database that cannot be opened for a moment is opened a little later."""

from pathlib import Path

import pytest

from slurmband.errors import DatabaseFault, DatabaseRefused, SlurmbandError
from slurmband.graphband.opening import PAUSE, TRIES, open_patiently
from slurmband.store.database import Store
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit

FAULT = DatabaseFault("band.sqlite", "Bad file descriptor")


def test_what_passes_is_waited_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.sqlite", create=True)
    clock, answers = HandClock(), [FAULT, FAULT]

    def make() -> Store:
        if answers:
            raise answers.pop()
        return store

    assert open_patiently(make, clock) is store
    assert sum(clock.slept) == 2 * PAUSE


@pytest.mark.parametrize(
    ("error", "waited"), [(FAULT, TRIES * PAUSE), (DatabaseRefused("another database"), 0.0)]
)
def test_what_does_not_pass_is_told(error: SlurmbandError, waited: float) -> None:
    clock = HandClock()

    def make() -> Store:
        raise error

    with pytest.raises(type(error)):
        open_patiently(make, clock)
    assert sum(clock.slept) == waited
