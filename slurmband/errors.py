"""Everything slurmband raises on purpose, sorted by whose move it is.

The user fixes a :class:`GraphError` or a :class:`UsageError`, the operator fixes an
:class:`EnvironmentFault`, nobody fixes a :class:`RaceLost` (the loop just goes round again), and a
developer fixes an :class:`InvariantBroken`. The command line turns the class into an exit code; it
never reads messages. Codes begin at 64, above what shells and SLURM use themselves.

A task of the user that raises is none of these: it is an outcome, stored with its traceback.
"""

from collections.abc import Iterable
from typing import ClassVar


class SlurmbandError(Exception):
    """Base class; catch it to catch only what slurmband raised itself."""

    exit_code: ClassVar[int] = 64


class UsageError(SlurmbandError, ValueError):
    """An option or an argument that cannot mean anything."""

    exit_code = 64


class WorkersAtWork(UsageError):
    """The database was to be replaced while workers may be using it."""

    def __init__(self, workers: Iterable[str]) -> None:
        self.workers = tuple(workers)
        names = ", ".join(self.workers[:5])
        more = f" and {len(self.workers) - 5} more" if len(self.workers) > 5 else ""
        super().__init__(
            f"these workers are alive, or it cannot be told that they are not: {names}{more}. End them "
            "(`scancel`), and wait until `slurmband workers` or `squeue --me` shows none; or write "
            "--force, if you know that none of them lives."
        )


# --- the user's graph and program ---------------------------------------------------------------


class GraphError(SlurmbandError):
    """The task graph given by the user cannot be run."""

    exit_code = 65


class EmptyGraph(GraphError):
    """The graph has no task."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source} gave no task: nothing to run. Let tasks() yield at least one Task."
        )


class BadTask(GraphError):
    """A task that is no Task, or one of its fields that is not what it should be."""


class DuplicateTask(GraphError):
    """Two tasks share one id and are not the same."""

    def __init__(self, task: str, field: str) -> None:
        self.task = task
        self.field = field
        super().__init__(
            f"two tasks have the id {task!r} and differ in their {field}. Ids name tasks: give one of "
            "them another id, or make them equal."
        )


class SelfDependency(GraphError):
    """A task that depends on itself."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(
            f"task {task!r} depends on itself, so that it could never start. Remove {task!r} from its "
            "dependencies."
        )


class UnknownDependency(GraphError):
    """A task depends on an id that is not in the graph."""

    def __init__(self, task: str, missing: Iterable[str], *, growing: bool = False) -> None:
        self.task = task
        self.missing = tuple(sorted(missing))
        names = ", ".join(repr(name) for name in self.missing[:5])
        more = f" and {len(self.missing) - 5} more" if len(self.missing) > 5 else ""
        super().__init__(
            f"task {task!r} depends on {names}{more}, "
            + (
                "not yielded before it. Of a growing graph, yield a task after all that it depends on."
                if growing
                else "not in the graph. Add the missing task, or correct the id."
            )
        )


class CyclicGraph(GraphError):
    """Tasks that wait for each other in a circle."""

    def __init__(self, cycle: Iterable[str]) -> None:
        self.cycle = tuple(cycle)
        shown = " -> ".join(repr(name) for name in self.cycle)
        super().__init__(
            f"the graph has a cycle: {shown} (each is needed by the next). "
            "None of these could ever start: remove one of the dependencies."
        )


class BadCommand(GraphError):
    """A list of commands that cannot be run, or a line of it."""

    def __init__(self, source: str, line: int | None, what: str) -> None:
        self.source = source
        self.line = line
        super().__init__(f"{source}{'' if line is None else f':{line}'}: {what}")


class GraphChanged(GraphError):
    """A worker's own graph is not the one that is registered."""

    def __init__(self, registered: str, own: str) -> None:
        self.registered = registered
        self.own = own
        super().__init__(
            f"this program builds another graph (digest {own[:12]}) than the one registered in the "
            f"database ({registered[:12]}). Run `slurmband submit` again to register the new graph (a "
            "program with a loop of its own: call band.register()), or make it build the same ids and "
            "dependencies each time."
        )


class GraphGrows(GraphError):
    """A graph that is whole where a growing one is registered, or the reverse."""

    def __init__(self, *, registered: bool) -> None:
        self.registered = registered
        super().__init__(
            "the graph of this band grows while workers work. Write growing=True (`slurmband submit "
            "--growing`, SLURMBAND_GROWING=1), or use another --db."
            if registered
            else "the graph of this band was registered whole, and no growing one can take its place. "
            "Leave out growing=True (--growing, SLURMBAND_GROWING), or use another --db."
        )


class TaskNotYielded(GraphError):
    """A task of a growing graph that this program's own source does not have."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(
            f"task {task!r} is registered, and the source of this program ended without it. Let it "
            "yield the same tasks in every process, also those that have run already, or cancel it: "
            f"`slurmband cancel {task}`."
        )


class FingerprintsChanged(GraphError):
    """Other fingerprints than a worker's own were registered after it had joined."""

    def __init__(self) -> None:
        super().__init__(
            "other fingerprints were registered since this program started, so that it may work with "
            "older inputs. Start it again: `slurmband submit`, or the program itself."
        )


class GraphReplaced(GraphError):
    """A graph that has nothing in common with the registered one."""

    def __init__(self, path: str, registered: int) -> None:
        self.path = path
        super().__init__(
            f"{path} holds another study: none of its {registered} tasks is in this graph. Use another "
            "directory, or another --db; or write --replace to cancel what is left of that study."
        )


class ProgramError(SlurmbandError):
    """The user's workflow file cannot be loaded, or lacks what it must define."""

    exit_code = 72


class BandStopped(SlurmbandError, RuntimeError):
    """Under ``failure_policy="stop"``: a task failed, so this worker claims no more."""

    exit_code = 74

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(
            f"task {task!r} ended without completing and the failure policy is 'stop'. "
            "Mend it, then `slurmband retry`, and start workers again."
        )


class TimeLimitReached(BaseException):
    """Raised inside a task that took longer than its ``time_limit``; it stops the task.

    Like `KeyboardInterrupt` it is no `Exception`, so that ``except Exception`` does not swallow it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"it took longer than its time_limit of {seconds:g} s")


class HandedBack(BaseException):
    """Raised by `Graphband.hand_back` inside a task that goes back unfinished, and charged to nobody.

    Like `KeyboardInterrupt` it is no `Exception`, so that ``except Exception`` does not swallow it.
    """


class TasksFailed(SlurmbandError):
    """What was waited for is over, and not every task completed."""

    exit_code = 69


# --- the environment ----------------------------------------------------------------------------


class DatabaseMissing(SlurmbandError):
    """There is no database where one was looked for."""

    exit_code = 66

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"no slurmband database at {path}. Go to the directory you submitted from, "
            "or name the file by --db or SLURMBAND_DB."
        )


class EnvironmentFault(SlurmbandError):
    """The cluster, the file system or the database would not do its part."""

    exit_code = 67


#: What a person can do about a file that cannot be written.
_LOOK = "Look whether the disk or your quota is full, and whether the file system is there"


class DatabaseRefused(EnvironmentFault):
    """The file is there and must not be used as asked (or is no database of ours)."""


class DatabaseFault(EnvironmentFault):
    """SQLite would not read or write; nothing of the transaction is in the database."""

    def __init__(self, path: str, said: str) -> None:
        self.path = path
        self.said = said
        super().__init__(
            f"the database {path} cannot be used now: {said}. {_LOOK}. A worker keeps what it has to "
            "report, and goes on by itself; run a command again."
        )


class JournalFault(EnvironmentFault):
    """A worker's journal cannot be written."""

    def __init__(self, path: str, said: str) -> None:
        self.path = path
        self.said = said
        super().__init__(
            f"the journal {path} cannot be written now: {said}. {_LOOK}. The worker goes on by itself."
        )


class LogFault(EnvironmentFault):
    """What was printed cannot be shown: its log is not here, or no longer what it was."""

    def __init__(self, log: str | None, why: str) -> None:
        self.log = log
        super().__init__(why)


class BackupRefused(EnvironmentFault):
    """A backup that cannot be brought back."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(
            f"the backup {path} cannot be used: {why}. Take another one: `slurmband doctor --restore` "
            "lists them. Nothing was changed."
        )


class LockTimeout(EnvironmentFault):
    """A lock was not to be had in the time allowed."""

    def __init__(self, path: str, seconds: float, holder: str, *, advice: str) -> None:
        self.path = path
        self.holder = holder
        super().__init__(f"the lock {path} was held for {seconds:g} s by {holder}. {advice}")


class LockLost(EnvironmentFault):
    """A lock was somebody else's before its holder gave it back."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"the lock {path} was taken from this process while it was held: this worker was frozen, "
            "or cut off, for longer than the lock's lifetime, or somebody deleted the file. Others may "
            "have been at work meanwhile: look at what the lock guards, and do the work again."
        )


class NotSafe(EnvironmentFault):
    """A directory was examined, and a band is not safe there as it is."""

    exit_code = 73

    def __init__(self, directory: str) -> None:
        self.directory = directory
        super().__init__(f"a band is not safe in {directory}: see the errors above.")


class NoAnswer(EnvironmentFault):
    """One side of a trial does not answer, or is gone."""


class MoveFailed(EnvironmentFault):
    """What one side of a trial was to do, the file system refused."""


class SlurmMissing(EnvironmentFault):
    """A SLURM command is not installed here."""

    exit_code = 68

    def __init__(self, command: str) -> None:
        self.command = command
        super().__init__(
            f"{command} was not found on PATH. Run this on a login node of the cluster "
            "(or `module load slurm`), or use --cluster local to run on this machine."
        )


class SlurmRefused(EnvironmentFault):
    """A SLURM command ran and said no."""

    exit_code = 68

    def __init__(
        self,
        command: str,
        returncode: int,
        stderr: str,
        *,
        advice: str = "Nothing was queued. Correct the options and submit again.",
    ) -> None:
        self.command = command
        self.returncode = returncode
        self.stderr = stderr.strip()
        super().__init__(
            f"{command} refused (exit code {returncode}): {self.stderr or '(it said nothing)'}. {advice}"
        )


class QueueUnknown(EnvironmentFault):
    """squeue did not answer: what is queued cannot be told."""

    exit_code = 68

    def __init__(self, stderr: str) -> None:
        super().__init__(
            f"squeue did not answer ({stderr.strip() or 'no output'}), so that it cannot be told what "
            "is queued. Try again when `squeue --me` answers."
        )


class SubmissionUnknown(EnvironmentFault):
    """sbatch was called and its reply was lost: the array may or may not be queued."""

    exit_code = 71

    def __init__(self, token: str, stderr: str) -> None:
        self.token = token
        super().__init__(
            f"sbatch's reply was lost ({stderr.strip() or 'no output'}) and no job with the comment "
            f"{token} is to be seen yet. Do not call sbatch by hand: run the same "
            "`slurmband submit` again in a minute; it looks for that job first."
        )


class CommitUnknown(EnvironmentFault):
    """A transaction may or may not be in the database; look again before acting on it."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the outcome of a transaction is unknown ({why}). A worker looks for itself; run a command "
            f"again. If this comes again and again: {_LOOK[0].lower()}{_LOOK[1:]}."
        )


# --- races: correct, expected, and nobody's fault ------------------------------------------------


class RaceLost(SlurmbandError):
    """Another process got there first; correct, expected, and safe to ignore."""


class ClaimLost(RaceLost):
    """The claim was taken back before its worker reported; the report changed nothing."""

    def __init__(self, task: str, attempt: int) -> None:
        self.task = task
        self.attempt = attempt
        super().__init__(f"attempt {attempt} of task {task!r} no longer holds its claim")


class WorkerLost(RaceLost):
    """An incarnation was judged lost; it must join anew before it may claim."""

    def __init__(self, worker: str, reason: str) -> None:
        self.worker = worker
        self.reason = reason
        super().__init__(f"worker {worker} was judged lost ({reason}); its claims were revoked")


class ProducerLost(RaceLost):
    """A worker is no longer the one that makes a growing graph grow; its slice was not written."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        super().__init__(f"the worker with key {worker} is not the producer; nothing was written")


class WorkerMoved(RaceLost):
    """A suspect gave a sign of life, or ended, before it could be judged lost."""


class WorkerAlive(SlurmbandError, ValueError):
    """A second worker under the identifier of one that lives."""

    def __init__(self, worker: str, where: str) -> None:
        self.worker = worker
        super().__init__(
            f"a worker named {worker!r} is alive ({where}). Give this one another identifier= "
            "(or SLURMBAND_IDENTIFIER), or run `slurmband reap-dead` if that one is gone."
        )


# --- ours ---------------------------------------------------------------------------------------


class InvariantBroken(SlurmbandError):
    """slurmband contradicted itself; please report this as a bug."""

    exit_code = 70
