"""What the guardian hears: signals by their numbers, how long an attempt may take, whether to beat."""

import math
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmband.liveness.guardian import BEATING_MARK, LIMIT, LIMIT_MARK, SILENT_MARK, Words

pytestmark = pytest.mark.unit

NEVER = LIMIT.pack(LIMIT_MARK, math.inf, 0)
SOON = LIMIT.pack(LIMIT_MARK, 5.0, 36)
SILENT, BEATING = bytes([SILENT_MARK]), bytes([BEATING_MARK])
TERM = bytes([signal.SIGTERM])


@given(
    st.lists(
        st.sampled_from([NEVER, SOON, SILENT, BEATING, TERM, bytes([signal.SIGUSR1])]), max_size=8
    ),
    st.lists(st.integers(1, 20), min_size=1, max_size=30),
)
def test_words_are_heard_however_they_are_cut(said: list[bytes], cuts: list[int]) -> None:
    stream, heard, words = b"".join(said), list[int](), Words()

    for cut in [*cuts, len(stream)]:
        heard += words.hear(stream[:cut])
        stream = stream[cut:]

    beats = [word for word in said if word in (SILENT, BEATING)]
    assert words.silent is (beats[-1:] == [SILENT])
    assert heard == [word[0] for word in said if len(word) == 1 and word not in beats]
    limits = [word for word in said if len(word) > 1]
    last = limits[-1] if limits else NEVER
    assert words.attempt == (36 if last == SOON else 0)
    assert math.isinf(words.until) is (last == NEVER)


def test_a_limit_counts_from_when_it_is_heard() -> None:
    words, before = Words(), time.monotonic()

    words.hear(SOON)

    assert before + 5.0 <= words.until <= time.monotonic() + 5.0


def test_no_signal_looks_like_a_mark() -> None:
    assert max(signal.valid_signals()) < min(LIMIT_MARK, SILENT_MARK, BEATING_MARK)
