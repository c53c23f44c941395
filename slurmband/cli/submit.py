"""``slurmband submit``: check and register a graph, and queue an array of workers for it."""

import difflib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from slurmband.cli.common import DEFAULT_DB, Db, make_store
from slurmband.cli.log import log_more
from slurmband.cli.submitted import registration, report, say, show
from slurmband.cli.wait import watch
from slurmband.clock import SystemClock
from slurmband.domain.budgets import Budgets
from slurmband.errors import UsageError
from slurmband.graphband.commands import CommandList
from slurmband.graphband.options import resolve
from slurmband.graphband.work import Work, find
from slurmband.liveness.inquiry import counted
from slurmband.slurm import templates
from slurmband.slurm.arrays import parse
from slurmband.slurm.options import CommandLine, is_of_sbatch, split
from slurmband.slurm.queue import SlurmQueue
from slurmband.slurm.sizes import in_megabytes
from slurmband.slurm.times import seconds
from slurmband.store.file import path_of
from slurmband.store.layout import Layout
from slurmband.submission.request import CARRIED, Cluster, Request
from slurmband.submission.submit import Submitter, check_cluster, let_grow, register
from slurmband.submission.wait import follow


class SubmitCommand(typer.core.TyperCommand):
    """A command line on which options that are not ours are sbatch's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Set sbatch's options and the program aside, and let typer read the rest."""
        options = [param for param in self.params if param.param_type_name == "option"]
        names = {flag: bool(getattr(o, "is_flag", False)) for o in options for flag in o.opts}
        line = split(
            args,
            valued=[name for name, is_flag in names.items() if not is_flag],
            flags=[*(name for name, is_flag in names.items() if is_flag), "-h", "--help"],
        )
        ctx.meta["slurmband.line"] = line
        _point_out(line, names)
        return super().parse_args(ctx, line.ours)


def submit(
    context: typer.Context,
    array: Annotated[
        str,
        typer.Option(
            "--array",
            "-a",
            metavar="SPEC",
            help="How many workers: 100, or SLURM's forms 0-31, 1,3,5, 1-7:2, each with %N.",
        ),
    ] = "1",
    cluster: Annotated[
        Cluster,
        typer.Option(
            envvar="SLURMBAND_CLUSTER",
            help="slurm; local: processes on this machine; debug: one worker in this process.",
        ),
    ] = Cluster.SLURM,
    template: Annotated[
        str,
        typer.Option(
            envvar="SLURMBAND_TEMPLATE", metavar="NAME|PATH", help="See `slurmband templates`."
        ),
    ] = "cpu",
    workers_per_element: Annotated[
        int, typer.Option(min=1, metavar="N", help="Workers in each element, started by one srun.")
    ] = 1,
    labels: Annotated[
        str | None,
        typer.Option(envvar="SLURMBAND_LABELS", help="What these workers offer: gpu,bigmem."),
    ] = None,
    max_failed_retries: Annotated[
        int | None,
        typer.Option(min=0, envvar="SLURMBAND_MAX_FAILED_RETRIES", help="Retries after a failure."),
    ] = None,
    max_killed_retries: Annotated[
        int | None,
        typer.Option(min=0, envvar="SLURMBAND_MAX_KILLED_RETRIES", help="Retries after a death."),
    ] = None,
    max_oom_retries: Annotated[
        int | None,
        typer.Option(min=0, envvar="SLURMBAND_MAX_OOM_RETRIES", help="Retries out of memory."),
    ] = None,
    max_time_limit_retries: Annotated[
        int | None,
        typer.Option(
            min=0, envvar="SLURMBAND_MAX_TIME_LIMIT_RETRIES", help="Retries after taking too long."
        ),
    ] = None,
    enable_fingerprints: Annotated[
        bool,
        typer.Option(
            "--enable-fingerprints",
            envvar="SLURMBAND_ENABLE_FINGERPRINTS",
            help="Run completed tasks again whose fingerprint changed.",
        ),
    ] = False,
    growing: Annotated[
        bool,
        typer.Option(
            "--growing",
            envvar="SLURMBAND_GROWING",
            help="Let workers read tasks() as they work, not whole before it.",
        ),
    ] = False,
    mode: Annotated[
        str | None,
        typer.Option(
            envvar="SLURMBAND_MODE",
            metavar="local|shared",
            help="How to reach a new database; found from the file system.",
        ),
    ] = None,
    until_done: Annotated[
        bool,
        typer.Option(
            "--until-done",
            help="Queue the same array again when its time is over and work is left.",
        ),
    ] = False,
    max_submissions: Annotated[
        int, typer.Option(min=1, metavar="N", help="With --until-done: so many arrays in all.")
    ] = 10,
    commands: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Run the commands in FILE, one a line, instead of a workflow; - is standard input.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the script and sbatch's call; queue nothing.")
    ] = False,
    test_only: Annotated[
        bool, typer.Option("--test-only", help="Let sbatch validate and estimate the start only.")
    ] = False,
    parsable: Annotated[
        bool, typer.Option("--parsable", help="Print the array's id only, as sbatch does.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-W", help="Wait until all is done; 69 if a task failed.")
    ] = False,
    replace_study: Annotated[
        bool,
        typer.Option(
            "--replace", help="Cancel the study that this database holds, for another one."
        ),
    ] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Queue an array of workers: submit [OPTIONS] [SBATCH OPTIONS] WORKFLOW.py [ARGUMENTS].

    Or for a list of commands: submit [OPTIONS] [SBATCH OPTIONS] --commands FILE. Or for a program with
    a Graphband loop of its own: submit [OPTIONS] -- COMMAND [ARGUMENTS].

    The graph is checked and registered first; a bad graph queues nothing. (With --growing, workers
    check and register it as they go.) Options that are not
    listed here go to sbatch, where they win over the script: --time=2:00:00 --mem=4G -p short.
    """
    line: CommandLine = context.meta["slurmband.line"]
    _export(
        LABELS=_with_size(labels, line),
        MAX_FAILED_RETRIES=max_failed_retries,
        MAX_KILLED_RETRIES=max_killed_retries,
        MAX_OOM_RETRIES=max_oom_retries,
        MAX_TIME_LIMIT_RETRIES=max_time_limit_retries,
        ENABLE_FINGERPRINTS=int(enable_fingerprints) or None,
        GROWING=int(growing) or None,
        MODE=mode,
    )
    request = Request(
        cluster=cluster,
        array=parse(array),
        line=line,
        layout=Layout(path_of(db)),
        template=templates.find(template),
        directory=Path.cwd(),
        workers_per_element=workers_per_element,
        max_submissions=max_submissions if until_done else None,
        options=_carried(line),
    )
    request.script("checked-early")  # a bad template is found before anything is written
    work = _work(line, commands, growing=growing)
    graph = None if work is None or growing else work.graph()
    listed = work if isinstance(work, CommandList) else None
    if listed is not None:
        request = replace(request, commands=listed.kept_in(request.layout))
    if dry_run or test_only:
        show(request, test_only=test_only)
        return
    check_cluster(cluster)
    _point_out_unused(line, cluster)
    store = make_store(db, mode=mode)
    budgets = Budgets(
        max_failed_retries, max_killed_retries, max_oom_retries, max_time_limit_retries
    )
    if growing:
        let_grow(store, budgets, now=SystemClock().now())
        if not parsable:
            say("The graph grows: workers register its tasks as they come to them.")
    elif graph is not None:
        if listed is not None:
            listed.keep(request.layout)
        registered = register(
            store,
            graph,
            budgets,
            compare=enable_fingerprints or listed is not None,
            mended=listed is not None,
            replace_study=replace_study,
            now=SystemClock().now(),
        )
        if not parsable:
            say(*registration(graph, registered))
    if cluster is Cluster.DEBUG:
        _debug(request, work)
        return
    now = SystemClock().now
    submitter = Submitter(store, SlurmQueue(counted(store, now)), now, time.sleep)
    arrays = submitter.submit(request)
    report(request, arrays, parsable=parsable)
    if wait:
        watch(follow(store, arrays, queue=SlurmQueue(), clock=SystemClock()))


def _with_size(labels: str | None, line: CommandLine) -> str | None:
    """Add to what workers offer how much memory and time they are submitted with."""
    given = {"mem": line.sbatch_value("mem"), "time": line.sbatch_value("time")}
    sizes = [f"mem={in_megabytes(given['mem'])}"] if given["mem"] not in (None, "0") else []
    limit = seconds(given["time"] or "")
    sizes += [f"time={limit:.0f}"] if limit else []
    return ",".join([*filter(None, [labels]), *sizes]) or None


def _point_out(line: CommandLine, names: Mapping[str, object]) -> None:
    """Say what looks like one of our options and is taken for something else."""
    for word in line.sbatch:
        name = word.partition("=")[0]
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
        if close and not is_of_sbatch(name):
            raise UsageError(f"no option {name}: is it {close[0]}? sbatch's own are passed on.")
    for word in [] if line.is_command else line.program[1:]:
        if word.partition("=")[0] in names:
            program = line.program[0]
            note = f"note: {word} stands after {program} and goes to it; ours stand before it.\n"
            sys.stderr.write(note)


def _point_out_unused(line: CommandLine, cluster: Cluster) -> None:
    """Say which of sbatch's options mean nothing where there is no SLURM."""
    if cluster is Cluster.LOCAL:
        seconds(line.sbatch_value("time") or "")  # a bad one is found before anything is written
    known = {Cluster.SLURM: ("-",), Cluster.LOCAL: ("-o", "--output", "-t", "--time=")}
    unused = [word for word in line.sbatch if not word.startswith(known.get(cluster, ()))]
    if unused:
        sys.stderr.write(f"note: on --cluster {cluster} these have no effect: {' '.join(unused)}\n")


def _carried(line: CommandLine) -> dict[str, str]:
    """Return the variables that the script carries.

    The graph of a workflow file is registered here, and its fingerprints are compared here: a worker
    that starts hours later, when files have changed, must not do so again.
    """
    names = map("SLURMBAND_{}".format, CARRIED)
    carried = {name: os.environ[name] for name in names if os.environ.get(name)}
    return carried if line.is_command else carried | {"SLURMBAND_ENABLE_FINGERPRINTS": "0"}


def _export(**given: object) -> None:
    """Put options of the workers where the script takes them from, and check them."""
    os.environ.update({f"SLURMBAND_{k}": str(v) for k, v in given.items() if v is not None})
    resolve({}, os.environ)


def _work(line: CommandLine, commands: str | None, *, growing: bool) -> Work | None:
    """Load the workflow or the list of commands; None: a program that has a loop of its own."""
    if line.is_command and line.program and commands is None:
        return None
    file = line.program[0] if line.program else None
    return find(file, line.program[1:], commands=commands, growing=growing)


def _debug(request: Request, work: Work | None) -> None:
    """Run one worker here, where a debugger can look at it."""
    from slurmband.slurm.executors import run_here

    os.environ["SLURMBAND_DB"] = str(request.layout.database)
    if work is None:
        os.execvp(request.line.program[0], request.line.program)  # noqa: S606  # no shell wanted
    from slurmband.graphband.band import Graphband

    log_more(verbose=True)
    band: Graphband[Any] = Graphband(work.source if resolve({}).growing else work.graph())
    with work.running(band) as run:
        found = run_here(request.layout.submissions, lambda: band.run(run))
    say(f"{found.completed} of {found.total} tasks completed.")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=SubmitCommand)(submit)
