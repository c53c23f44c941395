"""Telling sbatch's options from ours on one command line.

Ours are known by name. sbatch's follow sbatch(1): those that take a value may be written with a space
or with ``=``. An option that neither knows is passed on as a flag; give it a value with ``=``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from slurmband.errors import UsageError

#: Long options of sbatch that take a value, from sbatch(1) of SLURM 25.05.
_LONG_WITH_VALUE: Final = frozenset(
    """
    account acctg-freq batch bb bbf begin chdir cluster-constraint clusters comment constraint
    container container-id core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task
    deadline delay-boot dependency distribution error exclude export export-file extra
    extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres
    gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user mcs-label mem
    mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile nodelist nodes ntasks
    ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output partition
    power prefer priority profile qos reservation segment signal sockets-per-node switches
    thread-spec threads-per-core time time-min tmp tres-bind tres-per-task uid wait-all-nodes
    wckey
    """.split()  # noqa: SIM905  # a list to read, and to compare with the manual page
)
_FLAGS: Final = frozenset(
    """
    contiguous exclusive get-user-env help hold ignore-pbs no-kill no-requeue nice overcommit
    oversubscribe parsable propagate quiet reboot requeue resv-ports spread-job stepmgr test-only
    usage use-min-nodes verbose version wait
    """.split()  # noqa: SIM905  # likewise
)
_SHORT_WITH_VALUE: Final = frozenset("ABbcCdDeFGiJLMmNnopqStwx")
_SHORT_OF: Final = {"t": "time", "n": "ntasks", "o": "output", "M": "clusters"}


@dataclass(slots=True)
class CommandLine:
    """A command line of `slurmband submit`, taken apart.

    Parameters
    ----------
    ours : list of str
        Options of slurmband, as given.
    sbatch : list of str
        Options for sbatch, each in one word: ``--time=1:00:00``, ``-pgpu``.
    program : list of str
        The workflow file and its arguments, or the command.
    is_command : bool
        Whether `program` came after ``--``.
    """

    ours: list[str] = field(default_factory=list)
    sbatch: list[str] = field(default_factory=list)
    program: list[str] = field(default_factory=list)
    is_command: bool = False

    def sbatch_value(self, name: str) -> str | None:
        """Return the value given to an sbatch option by its long name; None if it was not given."""
        value = None
        for word in self.sbatch:
            long, equals, text = word.partition("=")
            if long == f"--{name}" and equals:
                value = text
            elif not word.startswith("--") and _SHORT_OF.get(word[1]) == name:
                value = word[2:]
        return value


def is_of_sbatch(option: str) -> bool:
    """Whether sbatch(1) knows an option; short ones are taken to be sbatch's."""
    return not option.startswith("--") or option[2:] in _LONG_WITH_VALUE | _FLAGS


def split(
    arguments: Sequence[str], *, valued: Collection[str], flags: Collection[str]
) -> CommandLine:
    """Take a command line apart.

    Parameters
    ----------
    arguments : sequence of str
    valued, flags : collection of str
        Our options that take a value, and those that do not, as written (``--array``, ``-a``).

    Raises
    ------
    UsageError
        If an option lacks its value, or is one that cannot be passed on.
    """
    line = CommandLine()
    words = list(arguments)
    while words:
        word = words.pop(0)
        name = word.partition("=")[0]
        if word == "--":
            line.program, line.is_command = words, True
            return line
        if not word.startswith("-") or word == "-":
            line.program = [word, *words]
            return line
        if name == "--wrap":
            raise UsageError(
                "--wrap is sbatch's; here, write the command after --: submit … -- COMMAND."
            )
        if name in flags:
            line.ours.append(word)
        elif name in valued:
            line.ours += [word] if "=" in word else [word, _value(word, words)]
        elif word.startswith("--"):
            takes_value = name.removeprefix("--") in _LONG_WITH_VALUE and "=" not in word
            line.sbatch.append(f"{word}={_value(word, words)}" if takes_value else word)
        elif word[:2] in valued:  # -a0-9
            line.ours += [word[:2], word[2:]]
        else:
            lacks_value = word[1] in _SHORT_WITH_VALUE and len(word) == 2
            line.sbatch.append(word + _value(word, words) if lacks_value else word)
    return line


def _value(option: str, words: list[str]) -> str:
    if not words:
        raise UsageError(f"{option} needs a value.")
    return words.pop(0)
