"""Array specifications are read as sbatch reads them, and split where the site's limit asks for it."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from slurmband.errors import UsageError
from slurmband.slurm.arrays import ArraySpec, compress, parse, split

pytestmark = pytest.mark.unit

repeatable = settings(derandomize=True, database=None, deadline=None, max_examples=200)
specs = st.builds(
    ArraySpec,
    st.sets(st.integers(0, 300), min_size=1, max_size=60).map(lambda found: tuple(sorted(found))),
    st.none() | st.integers(1, 50),
)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("1", [0]),
        ("3", [0, 1, 2]),
        ("0-31", list(range(32))),
        ("5-5", [5]),
        ("1,3,5", [1, 3, 5]),
        ("5,3,1", [1, 3, 5]),
        ("1,1,1-2", [1, 2]),
        ("1-7:2", [1, 3, 5, 7]),
        ("1-8:3", [1, 4, 7]),
        ("0-2,7,10-14:2", [0, 1, 2, 7, 10, 12, 14]),
        (" 0-1 ", [0, 1]),
        ("007,8", [7, 8]),
    ],
)
def test_every_form_of_sbatch_is_read_and_a_bare_number_is_a_count(
    text: str, indices: list[int]
) -> None:
    assert parse(text) == ArraySpec(tuple(indices))
    assert len(parse(text)) == len(indices)


@pytest.mark.parametrize("body", ["100", "0-31", "1,3,5", "1-7:2"])
def test_any_form_may_end_in_a_limit(body: str) -> None:
    assert parse(f"{body}%4") == ArraySpec(parse(body).indices, 4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "-1",
        "1-",
        "-",
        "3-1",
        "1,,2",
        "1,",
        ",",
        "1-7:0",
        "5:2",
        "1-7:",
        "1.5",
        "1 2",
        "[1-3]",
        "1-2-3",
        "10%",
        "10%0",
        "10%x",
        "10%-1",
        "10%2%3",
        "10%²",
    ],
)
def test_what_is_no_array_is_refused_and_shown(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text)

    assert f"--array {text}" in str(error.value)


@pytest.mark.parametrize("text", ["0", "00", "0%3"])
def test_an_array_of_no_element_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="would queue no element"):
        parse(text)


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        ((0,), "0"),
        ((0, 1), "0-1"),
        ((1, 3, 5), "1,3,5"),
        ((0, 1, 2, 7, 9, 10), "0-2,7,9-10"),
        ((8, 9, 11), "8-9,11"),
    ],
)
def test_runs_are_written_as_slurm_writes_them(indices: tuple[int, ...], text: str) -> None:
    assert compress(indices) == text
    assert str(ArraySpec(indices, 7)) == f"{text}%7"


@given(specs)
@repeatable
def test_what_is_written_is_read_as_the_same_array(spec: ArraySpec) -> None:
    assume(len(spec) > 1)  # a bare number is a count to us, and an index to sbatch

    assert parse(str(spec)) == spec


@pytest.mark.parametrize("limit", [None, 10, 11])
def test_an_array_that_fits_is_left_as_it_is(limit: int | None) -> None:
    spec = ArraySpec((2, 9), 1)

    assert split(spec, max_array_size=limit) == [spec]


def test_the_limit_is_on_the_index_and_not_on_how_many_there_are() -> None:
    assert split(ArraySpec((5, 1001), 2), max_array_size=1001) == [ArraySpec((0, 1), 2)]


def test_an_array_that_is_too_large_becomes_even_parts_from_zero() -> None:
    parts = split(parse("2503%10"), max_array_size=1001)

    assert [str(part) for part in parts] == ["0-834%4", "0-833%4", "0-833%4"]


def test_a_site_without_arrays_is_named_as_the_reason() -> None:
    with pytest.raises(UsageError, match="MaxArraySize"):
        split(parse("10"), max_array_size=0)


@given(specs, st.integers(1, 70))
@example(ArraySpec((69,), 1), 1)
@repeatable
def test_the_parts_of_an_array_fit_and_lose_nothing(spec: ArraySpec, limit: int) -> None:
    parts = split(spec, max_array_size=limit)

    assert sum(map(len, parts)) == len(spec)
    assert all(part.indices[-1] < limit for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(part.indices == tuple(range(len(part))) for part in parts) or parts == [spec]


@given(specs, st.integers(1, 70))
@repeatable
def test_a_limit_is_shared_out_and_never_lost(spec: ArraySpec, limit: int) -> None:
    parts = split(spec, max_array_size=limit)

    if spec.throttle is None:
        assert {part.throttle for part in parts} == {None}
    else:
        total = sum(part.throttle or 0 for part in parts)
        assert spec.throttle <= total < spec.throttle + len(parts)
        assert all(part.throttle for part in parts)
