"""Where a database lies decides how it is reached, and nothing makes it be reached in a weaker way."""

from pathlib import Path

import pytest

from slurmband.errors import DatabaseRefused, UsageError
from slurmband.mounts import LOCAL_FILE_SYSTEMS, Mount, find_mount
from slurmband.store.modes import Mode, choose

pytestmark = pytest.mark.unit

MOUNTS = r"""
22 27 0:21 / /proc rw,nosuid - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,errors=remount-ro
30 27 0:40 / /nosuch/home rw,relatime shared:7 master:2 - nfs4 server:/home rw,vers=4.2,local_lock=none
31 30 0:41 / /nosuch/home/scratch rw - xfs /dev/sdb rw
32 27 0:42 / /nosuch/two\040words\134x rw - nfs server:/two rw,vers=3,nolock,local_lock=all
33 27 0:43 / /nosuch/donn-é-es rw - nfs4 server:/d rw
34 27 0:44 / /nosuch/lustre rw - lustre 10.0.0.1@tcp:/lfs rw,localflock,lazystatfs
35 27 0:45 / /nosuch/auto rw - autofs systemd-1 rw,fd=30
36 35 0:46 / /nosuch/auto rw - nfs4 server:/auto rw
37 27 254:0 /srv/shared /nosuch/bind rw,relatime - ext4 /dev/vda rw
38 27 0:40 /projects /nosuch/nfs-bind rw,relatime - nfs4 server:/home rw
39 27 0:47 / /nosuch/fuse rw - fuse.sshfs me@there:/ rw
40 27 0:48 / /nosuch/empty rw - tmpfs  rw,size=1024k
41 27 0:49 / /nosuch/dash\040-\040ed rw - gpfs gpfs0 rw
42 27 0:50 / /nosuch/tab\011bed\040 rw - beegfs beegfs rw
""".lstrip()


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    """Write the mount table of a machine with a bit of everything."""
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("path", "point", "file_system", "mode"),
    [
        ("/nosuch/x.sqlite", "/", "ext4", Mode.LOCAL),
        ("/nosuch/home/x.sqlite", "/nosuch/home", "nfs4", Mode.SHARED),
        ("/nosuch/home/me/deep/x.sqlite", "/nosuch/home", "nfs4", Mode.SHARED),
        ("/nosuch/home", "/nosuch/home", "nfs4", Mode.SHARED),
        ("/nosuch/homestead/x.sqlite", "/", "ext4", Mode.LOCAL),
        ("/nosuch/home/scratch/x.sqlite", "/nosuch/home/scratch", "xfs", Mode.LOCAL),
        ("/nosuch/home/scratch2/x.sqlite", "/nosuch/home", "nfs4", Mode.SHARED),
        ("/nosuch/two words\\x/x.sqlite", "/nosuch/two words\\x", "nfs", Mode.SHARED),
        ("/nosuch/donn-é-es/x.sqlite", "/nosuch/donn-é-es", "nfs4", Mode.SHARED),
        ("/nosuch/lustre/x.sqlite", "/nosuch/lustre", "lustre", Mode.SHARED),
        ("/nosuch/auto/x.sqlite", "/nosuch/auto", "nfs4", Mode.SHARED),
        ("/nosuch/bind/x.sqlite", "/nosuch/bind", "ext4", Mode.LOCAL),
        ("/nosuch/nfs-bind/x.sqlite", "/nosuch/nfs-bind", "nfs4", Mode.SHARED),
        ("/nosuch/fuse/x.sqlite", "/nosuch/fuse", "fuse.sshfs", Mode.SHARED),
        ("/nosuch/empty/x.sqlite", "/nosuch/empty", "tmpfs", Mode.LOCAL),
        ("/nosuch/dash - ed/x.sqlite", "/nosuch/dash - ed", "gpfs", Mode.SHARED),
        ("/nosuch/tab\tbed /x.sqlite", "/nosuch/tab\tbed ", "beegfs", Mode.SHARED),
    ],
)
def test_the_innermost_mount_decides(
    mountinfo: Path, path: str, point: str, file_system: str, mode: Mode
) -> None:
    mount = find_mount(Path(path), mountinfo=mountinfo)

    found = (mount.point, mount.file_system, mount.local)
    assert found == (point, file_system, mode is Mode.LOCAL)


def test_a_symbolic_link_is_followed_to_where_the_file_lies(
    tmp_path: Path, mountinfo: Path
) -> None:
    (tmp_path / "work").symlink_to("/nosuch/home")

    assert find_mount(tmp_path / "work/x.sqlite", mountinfo=mountinfo).file_system == "nfs4"


def test_a_mount_point_that_is_no_utf8_is_found_as_python_names_it(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_bytes(b"1 1 0:1 / /nosuch/\xe9 rw - nfs4 server:/ rw\n")

    mount = find_mount(Path("/nosuch/\udce9/x.sqlite"), mountinfo=tmp_path / "mountinfo")

    assert mount.file_system == "nfs4"


@pytest.mark.parametrize("table", [None, "", "1 1 0:1 / /elsewhere rw - ext4 /dev/sda rw\n"])
def test_what_is_not_known_to_be_local_is_shared(tmp_path: Path, table: str | None) -> None:
    file = tmp_path / "mountinfo"
    if table is not None:
        file.write_text(table)

    assert find_mount(Path("/nosuch/x.sqlite"), mountinfo=file).local is False


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/nosuch/lustre", ("localflock",)),
        ("/nosuch/two words\\x", ("nolock", "local_lock=all")),
        ("/nosuch/home", ()),
        ("/nosuch", ()),
    ],
)
def test_options_under_which_locks_are_not_to_be_trusted_are_told(
    mountinfo: Path, path: str, options: tuple[str, ...]
) -> None:
    assert find_mount(Path(path), mountinfo=mountinfo).unsafe_options == options


@pytest.mark.parametrize(
    "file_system",
    [
        "nfs",
        "nfs4",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "cifs",
        "smb3",
        "fuse",
        "9p",
        "ocfs2",
        "gfs2",
        "afs",
        "autofs",
        "virtiofs",
        "vboxsf",
        "pvfs2",
        "wekafs",
        "panfs",
        "glusterfs",
    ],
)
def test_no_file_system_that_machines_can_share_is_taken_for_local(file_system: str) -> None:
    assert file_system not in LOCAL_FILE_SYSTEMS


# --- the choice ----------------------------------------------------------------------------------

FILE = Path("/data/x.sqlite")
ON_DISK = Mount("/data", "ext4", ())
ON_NFS = Mount("/data", "nfs4", ())
ON_UNKNOWN = Mount("/data", "newfs", ())
LOCAL, SHARED = Mode.LOCAL, Mode.SHARED
REFUSED = None


@pytest.mark.parametrize(
    ("kept", "mount", "forced", "mode"),
    [
        (None, ON_DISK, None, LOCAL),
        (None, ON_DISK, "local", LOCAL),
        (None, ON_DISK, "shared", SHARED),
        (None, ON_NFS, None, SHARED),
        (None, ON_NFS, "local", REFUSED),
        (None, ON_UNKNOWN, None, SHARED),
        (None, ON_UNKNOWN, "local", LOCAL),
        (LOCAL, ON_UNKNOWN, None, REFUSED),
        (LOCAL, ON_UNKNOWN, "local", LOCAL),
        (None, ON_NFS, "shared", SHARED),
        (LOCAL, ON_DISK, None, LOCAL),
        (LOCAL, ON_DISK, "local", LOCAL),
        (LOCAL, ON_DISK, "shared", REFUSED),
        (LOCAL, ON_NFS, None, REFUSED),
        (LOCAL, ON_NFS, "local", REFUSED),
        (LOCAL, ON_NFS, "shared", REFUSED),
        (SHARED, ON_DISK, None, SHARED),
        (SHARED, ON_DISK, "local", REFUSED),
        (SHARED, ON_DISK, "shared", SHARED),
        (SHARED, ON_NFS, None, SHARED),
        (SHARED, ON_NFS, "local", REFUSED),
        (SHARED, ON_NFS, "shared", SHARED),
    ],
)
def test_the_mode_is_the_one_kept_with_the_file_or_nothing_is_opened(
    kept: Mode | None, mount: Mount, forced: str | None, mode: Mode | None
) -> None:
    if mode is not REFUSED:
        assert choose(FILE, forced=forced, kept=kept, mount=mount) is mode
        return
    made = r"was made for .*tart a new database"
    forbidden = r"lies on nfs4 \(/data\), .*Leave the mode out"
    with pytest.raises(DatabaseRefused, match=rf"/data/x\.sqlite ({made}|{forbidden})"):
        choose(FILE, forced=forced, kept=kept, mount=mount)


@pytest.mark.parametrize("kept", [None, LOCAL, SHARED])
def test_a_mode_that_there_is_not_is_refused_with_those_there_are(kept: Mode | None) -> None:
    with pytest.raises(UsageError, match="no mode 'fast': it is one of local, shared"):
        choose(FILE, forced="fast", kept=kept, mount=ON_DISK)
