"""Where a file lies decides how it may be reached; what is not known to be local is shared."""

from pathlib import Path

import pytest

from slurmband.mounts import find_mount

pytestmark = pytest.mark.unit

ROOT = "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


def mountinfo(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text("\n".join((ROOT, *lines)) + "\n")
    return file


@pytest.mark.parametrize(
    ("file_system", "mode"),
    [("ext4", "local"), ("tmpfs", "local"), ("nfs4", "shared"), ("lustre", "shared")],
)
def test_the_file_system_decides(tmp_path: Path, file_system: str, mode: str) -> None:
    table = mountinfo(tmp_path, f"2 1 0:9 / /data rw - {file_system} where rw")

    assert find_mount(Path("/data/a.sqlite"), mountinfo=table).local == (mode == "local")


def test_a_file_system_that_nobody_knows_is_shared(tmp_path: Path) -> None:
    table = mountinfo(tmp_path, "2 1 0:9 / /data rw - newfs where rw")

    assert find_mount(Path("/data/a.sqlite"), mountinfo=table).local is False
    assert find_mount(Path("/data/a"), mountinfo=tmp_path / "none").local is False


def test_the_innermost_and_the_last_mount_counts(tmp_path: Path) -> None:
    table = mountinfo(
        tmp_path,
        "2 1 0:9 / /data rw - ext4 where rw",
        "3 1 0:9 / /data/lab rw - nfs4 where rw",
        "4 1 0:9 / /scratch rw - ext4 where rw",
        "5 1 0:9 / /scratch rw - nfs4 where rw",
    )

    found = [find_mount(Path(p), mountinfo=table).local for p in ("/data/lab/a", "/data/labs/a")]
    assert found == [False, True]
    assert find_mount(Path("/scratch/a"), mountinfo=table).local is False


@pytest.mark.parametrize("name", ["a b", "müller", "数据"])
def test_a_mount_point_may_have_any_name(tmp_path: Path, name: str) -> None:
    written = name.replace(" ", "\\040")
    table = mountinfo(tmp_path, f"2 1 0:9 / /mnt/{written} rw - nfs4 where rw")

    assert find_mount(Path(f"/mnt/{name}/a.sqlite"), mountinfo=table).local is False


def test_options_that_keep_locks_from_other_nodes_are_told(tmp_path: Path) -> None:
    table = mountinfo(tmp_path, "2 1 0:9 / /data rw,noatime - nfs where rw,nolock,local_lock=all")

    found = find_mount(Path("/data/a.sqlite"), mountinfo=table)

    assert found.unsafe_options == ("nolock", "local_lock=all")


@pytest.mark.parametrize(
    "line",
    [
        "/data/lab *(rw,no_root_squash)",
        '"/data/lab" node1(rw) node2(rw)',
        "/data  10.0.0.0/8(ro)",
        "/ *(rw)",
    ],
)
def test_what_this_machine_gives_to_others_by_nfs_is_not_local(tmp_path: Path, line: str) -> None:
    (tmp_path / "exports").write_text(f"# comment\n\n{line}\n")
    table, exports = mountinfo(tmp_path), [tmp_path / "none", tmp_path / "exports"]

    found = find_mount(Path("/data/lab/a.sqlite"), mountinfo=table, exports=exports)

    assert (found.file_system, found.local) == ("ext4", False)


def test_what_lies_beside_an_export_is_local(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("/data/lab\\040two *(rw)\n/data/la *(rw)\n")
    table, exports = mountinfo(tmp_path), [tmp_path / "exports"]

    found = [
        find_mount(Path(path), mountinfo=table, exports=exports).local
        for path in ("/data/lab/a", "/data/lab two/a")
    ]

    assert found == [True, False]
