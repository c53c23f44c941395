"""Any id that a task may have makes a lock file's name that is safe, short, and its own."""

from pathlib import Path

import pytest

from slurmband.store.layout import Layout

pytestmark = pytest.mark.unit

LAYOUT = Layout(Path("/work/slurmband.sqlite"))
IDS = [
    *(
        "a",
        "A",
        "a/b",
        "a_b",
        "/a/b",
        "..",
        ".",
        "",
        "/",
        "a b",
        "a\nb",
        "a|b",
        "x" * 500,
        "x" * 501,
    ),
    *(
        "Über",
        "Uber",
        "ü",
        "\u0075\u0308",
        "任务",
        "🙂",
        "a\x00b",
        "\udcff",
        "task-a",
        "global",
        "db",
    ),
]


@pytest.mark.parametrize("task", IDS, ids=ascii)
def test_a_lock_lies_in_the_folder_of_locks_under_a_plain_name(task: str) -> None:
    path = LAYOUT.task_lock(task)

    assert path.parent == LAYOUT.locks
    assert path.name.startswith("task-")
    assert path.name.isascii()
    assert path.name.isprintable()
    assert not set(path.name) & set("/| \n")
    assert len(path.name) < 80  # a claim file's name adds host and proof, and has 255 bytes


def test_no_two_ids_share_a_lock_not_even_where_case_does_not_count() -> None:
    names = {LAYOUT.task_lock(task).name.lower() for task in IDS}

    assert len(names) == len(IDS)
    assert LAYOUT.global_lock.name not in names
    assert not [name for name in names if name.startswith(f"{LAYOUT.database_locks.name}.")]
