"""How a listing looks in a terminal."""

import pytest

from slurmband.cli.common import show

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("held", "shown"),
    [
        ([], "-"),
        (["bake"], "bake"),
        (list("abcd"), "a, b, c, d"),
        (list("abcdef"), "a, b, c, d and 2 more"),
    ],
)
def test_a_long_list_is_cut_in_a_table_and_whole_in_json(
    capsys: pytest.CaptureFixture[str], held: list[str], shown: str
) -> None:
    rows = [{"worker": "36_1", "tasks": held}]

    show(rows, ["worker", "tasks"], as_json=False, table_format="tsv")
    assert capsys.readouterr().out.splitlines()[1].split("\t")[1].strip() == shown

    show(rows, ["worker", "tasks"], as_json=True, table_format="tsv")
    assert all(f'"{task}"' in capsys.readouterr().out for task in held[:1])
