"""What a submission asks for reaches the script and sbatch's command line, with nothing lost."""

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from slurmband.slurm.arrays import ArraySpec, parse
from slurmband.slurm.options import CommandLine
from slurmband.slurm.templates import Template, find
from slurmband.store.layout import Layout
from slurmband.submission.order import Order
from slurmband.submission.request import CARRIED, Cluster, Request, new_token

pytestmark = pytest.mark.unit

LIST = Path("/data/my band/x.sqlite.d/commands/0123.txt")
TOKEN = "slurmband-0123"
BARE = Template("bare", "#!/bin/bash\n# {{ directives }}\nlaunch=(srun)\n# {{ worker }}\n")
REQUEST = Request(
    cluster=Cluster.SLURM,
    array=parse("10"),
    line=CommandLine(program=["flow.py", "7"]),
    layout=Layout(Path("/data/my band/x.sqlite")),
    template=BARE,
    directory=Path("/home/me"),
    python="/opt/my python/bin/python3",
)
WORK = [REQUEST.python, "-m", "slurmband", "work", "flow.py", "7"]


def asking(*sbatch: str, workers: int = 1) -> Request:
    """Ask for the same, with options for sbatch."""
    line = CommandLine(sbatch=list(sbatch), program=["flow.py", "7"])
    return replace(REQUEST, line=line, workers_per_element=workers)


def running(*command: str) -> Request:
    """Ask for a command of the user's own."""
    return replace(REQUEST, line=CommandLine(program=list(command), is_command=True))


def evaluated(script: str) -> tuple[list[str], dict[str, str]]:
    """Let bash say what the worker's command line is, and its environment."""
    script += "printf '%s\\0' \"${worker[@]}\"\nprintf '\\0'\nenv -0\n"
    ran = subprocess.run(
        ["bash"], input=script, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin"}
    )
    command, _, environ = ran.stdout.partition("\0\0")
    pairs = (pair.partition("=") for pair in environ.split("\0") if pair)
    return command.split("\0"), {name: value for name, _, value in pairs}


# --- the script -----------------------------------------------------------------------------------


def test_an_element_runs_the_workflow_with_the_interpreter_that_submits() -> None:
    command, environ = evaluated(REQUEST.script(TOKEN))

    assert command == WORK
    assert environ["SLURMBAND_DB"] == "/data/my band/x.sqlite"
    assert environ["SLURMBAND_SUBMISSION"] == TOKEN
    assert environ["SLURMBAND_PYTHON"] == REQUEST.python


@pytest.mark.parametrize(
    ("given", "run"),
    [
        (("./a.sh", "it's", "--array", "3"), ["./a.sh", "it's", "--array", "3"]),
        (("python", "any.py"), [REQUEST.python, "any.py"]),
        (("python3", "-c", "1"), [REQUEST.python, "-c", "1"]),
        (("python3.12", "any.py"), ["python3.12", "any.py"]),
        (("env", "python"), ["env", "python"]),
    ],
)
def test_a_command_is_run_as_given_but_a_bare_python_is_the_one_that_submits(
    given: tuple[str, ...], run: list[str]
) -> None:
    command, _ = evaluated(running(*given).script(TOKEN))

    assert command == run


@pytest.mark.parametrize("name", CARRIED)
def test_options_of_the_workers_are_in_the_script_since_the_environment_may_be_dropped(
    name: str,
) -> None:
    variable = f"SLURMBAND_{name}"

    _, environ = evaluated(replace(REQUEST, options={variable: "a b"}).script(TOKEN))

    assert environ[variable] == "a b"


def test_logs_lie_with_the_band_one_per_element() -> None:
    directives = [line for line in REQUEST.script(TOKEN).splitlines() if line.startswith("#SBATCH")]

    assert directives == ['#SBATCH --output="/data/my band/x.sqlite.d/logs/%A_%a.out"']
    assert REQUEST.log == "/data/my band/x.sqlite.d/logs/%A_%a.out"


@pytest.mark.parametrize(
    ("option", "log"),
    [
        ("--output=logs/%j.out", "/home/me/logs/%j.out"),
        ("-o%j.out", "/home/me/%j.out"),
        ("--output=/elsewhere/%A.out", "/elsewhere/%A.out"),
    ],
)
def test_the_users_own_logs_are_known_to_be_there(option: str, log: str) -> None:
    assert asking(option).log == log


def test_several_workers_in_an_element_are_started_by_one_srun_and_know_it() -> None:
    command, environ = evaluated(asking(workers=4).script(TOKEN))

    assert command == ["srun", "--ntasks=4", *WORK]
    assert environ["SLURMBAND_WORKERS_PER_ELEMENT"] == "4"


@pytest.mark.parametrize("cluster", [Cluster.LOCAL, Cluster.DEBUG])
def test_away_from_slurm_no_srun_is_called(cluster: Cluster) -> None:
    command, environ = evaluated(replace(asking(workers=4), cluster=cluster).script(TOKEN))

    assert command == WORK
    assert environ["SLURMBAND_WORKERS_PER_ELEMENT"] == "4"  # for who orders the same again


def test_a_shipped_template_serves_as_well() -> None:
    script = replace(REQUEST, template=find("cpu")).script(TOKEN)

    command, _ = evaluated(script.replace('exec "${worker[@]}"\n', ""))

    assert command == WORK


# --- sbatch's options -----------------------------------------------------------------------------


def test_sbatch_is_told_the_array_and_the_token() -> None:
    assert asking().sbatch_options(parse("1-7:2%3"), TOKEN) == [
        "--array=1,3,5,7%3",
        f"--comment={TOKEN}",
    ]


def test_the_array_is_the_part_that_is_queued_and_not_all_that_was_asked_for() -> None:
    assert "--array=0" in asking().sbatch_options(ArraySpec((0,)), TOKEN)


def test_the_users_options_are_handed_on_in_their_order() -> None:
    options = asking("-pgpu", "--time=5", "--hold").sbatch_options(parse("2"), TOKEN)

    assert options == ["-pgpu", "--time=5", "--hold", "--array=0-1", f"--comment={TOKEN}"]


def test_the_users_comment_is_kept_beside_the_token() -> None:
    options = asking("--comment=my own words", "-pgpu").sbatch_options(parse("2"), TOKEN)

    assert options == ["-pgpu", "--array=0-1", f"--comment=my own words {TOKEN}"]


@pytest.mark.parametrize(
    ("workers", "given", "ntasks"),
    [
        (1, [], []),
        (4, [], ["--ntasks=4"]),
        (4, ["--ntasks=8"], ["--ntasks=8"]),
        (4, ["-n8"], ["-n8"]),
        (4, ["--ntasks-per-node=2"], ["--ntasks-per-node=2", "--ntasks=4"]),
    ],
)
def test_an_element_has_room_for_its_workers_unless_the_user_says_how_much(
    workers: int, given: list[str], ntasks: list[str]
) -> None:
    options = asking(*given, workers=workers).sbatch_options(parse("2"), TOKEN)

    assert [word for word in options if word.startswith(("--ntasks", "-n"))] == ntasks


def test_no_two_submissions_have_the_same_token() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(token.startswith("slurmband-") and "|" not in token for token in tokens)


def test_workers_of_a_list_of_commands_read_the_bands_copy() -> None:
    request = replace(REQUEST, line=CommandLine(), commands=LIST)

    assert request.worker_command == [*WORK[:-2], "--commands", str(LIST)]
    assert f"work --commands '{LIST}')" in request.script(TOKEN)


@pytest.mark.parametrize("cluster", [Cluster.SLURM, Cluster.LOCAL])
@pytest.mark.parametrize(("sbatch", "workers"), [((), 2), (("--ntasks=3",), 1), (("-n3",), 2)])
def test_an_array_is_ordered_again_as_it_was(
    cluster: Cluster, sbatch: tuple[str, ...], workers: int
) -> None:
    asked = replace(asking("--time=5", *sbatch, workers=workers), cluster=cluster)
    first = Order.of(asked, asked.array)
    row = {
        **asdict(first),
        "array": first.array_text,
        "command": json.dumps(first.command),
        "options": json.dumps(first.options),
    }

    again = Order.again(row)

    assert again.token != first.token
    told = [str(asdict(order)).replace(order.token, TOKEN) for order in (first, again)]
    assert told[0] == told[1]
