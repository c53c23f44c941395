"""Notices when submitit changes in what slurmband uses of its insides."""

import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import submitit
from submitit.core.core import PicklingExecutor
from submitit.core.utils import CommandFunction, FailedJobError, FailedSubmissionError
from submitit.local.local import LocalJob
from submitit.slurm.slurm import SlurmJob

from slurmband.errors import SlurmMissing, SlurmRefused, SubmissionUnknown
from slurmband.slurm.executors import SlurmArrayExecutor

pytestmark = pytest.mark.unit

#: With everything that an editor or a template engine might have changed.
SCRIPT = "#!/bin/bash\n#SBATCH --time=5\n\nlaunch=(srun 'a  b')\n\texec \"${worker[@]}\" # é\n\n"
TOKEN = "slurmband-0123"
OPTIONS = ["-pgpu", "--array=0-1%2", f"--comment=my own words {TOKEN}"]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (PicklingExecutor._submit_command, ["self", "command"]),
        (PicklingExecutor._make_submission_file_text, ["self", "command", "uid"]),
        (PicklingExecutor._make_submission_command, ["self", "submission_file_path"]),
        (PicklingExecutor._get_job_id_from_submission_command, ["string"]),
        (PicklingExecutor._num_tasks, ["self"]),
        (SlurmJob.__init__, ["self", "folder", "job_id", "tasks"]),
        (LocalJob.__init__, ["self", "folder", "job_id", "tasks", "process"]),
        (CommandFunction.__init__, ["self", "command", "verbose", "cwd", "env"]),
    ],
    ids=lambda value: value.__qualname__ if callable(value) else "",
)
def test_what_we_replace_or_call_takes_what_it_took(
    method: Callable[..., Any], parameters: list[str]
) -> None:
    assert list(inspect.signature(method).parameters) == parameters


@pytest.mark.parametrize(
    "name",
    [
        "_make_submission_file_text",
        "_make_submission_command",
        "_get_job_id_from_submission_command",
    ],
)
def test_submitit_still_asks_the_methods_that_we_replace(name: str) -> None:
    assert f"self.{name}(" in inspect.getsource(PicklingExecutor._submit_command)
    assert name in vars(SlurmArrayExecutor)


def test_the_slurm_executor_does_not_submit_in_a_way_of_its_own() -> None:
    assert submitit.SlurmExecutor._submit_command is PicklingExecutor._submit_command


def test_a_refusal_and_an_answer_that_cannot_be_read_are_different_errors() -> None:
    assert not issubclass(FailedSubmissionError, FailedJobError)
    assert not issubclass(FailedJobError, FailedSubmissionError)


def test_a_cancelled_handle_calls_scancel() -> None:
    assert SlurmJob._cancel_command == "scancel"


# --- one sbatch, for real, of a fake one ----------------------------------------------------------


class FakeSbatch:
    """Puts `sbatch` and `srun` on PATH; what sbatch was given stays in the folder."""

    def __init__(self, folder: Path) -> None:
        self._seen = folder
        self._bin = folder / "bin"
        self._bin.mkdir()
        self.path = f"{self._bin}:/usr/bin:/bin"
        self.answers("36\n")
        self._install("srun", "exit 0\n")

    def answers(self, stdout: str, *, stderr: str = "", code: int = 0) -> None:
        said, scolded = shlex.quote(stdout), shlex.quote(stderr)
        keep = (
            f'printf "%s\\n" "$@" >{self._seen}/arguments\ncp -- "${{@: -1}}" {self._seen}/script\n'
        )
        end = "kill -9 $$" if code < 0 else f"exit {code}"
        self._install("sbatch", f"{keep}printf %s {said}\nprintf %s {scolded} >&2\n{end}\n")

    def _install(self, name: str, body: str) -> None:
        (self._bin / name).write_text(f"#!/bin/bash\n{body}")
        (self._bin / name).chmod(0o755)

    def remove(self, name: str) -> None:
        (self._bin / name).unlink()
        self.path = str(self._bin)

    @property
    def arguments(self) -> list[str]:
        return (self._seen / "arguments").read_text().splitlines()

    @property
    def script(self) -> bytes:
        return (self._seen / "script").read_bytes()


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSbatch:
    """Install an sbatch that says 36."""
    fake = FakeSbatch(tmp_path)
    monkeypatch.setenv("PATH", fake.path)
    return fake


@pytest.fixture
def executor(sbatch: FakeSbatch, tmp_path: Path) -> SlurmArrayExecutor:
    """Make what queues our script through it."""
    folder = tmp_path / "x.sqlite.d" / "submissions"
    folder.mkdir(parents=True)
    return SlurmArrayExecutor(folder, SCRIPT, OPTIONS, TOKEN)


@pytest.mark.parametrize(
    "answer",
    [
        "36\n",
        "36",
        "36;cluster\n",
        "Welcome to the cluster!\nYour quota is 80% used.\n36\n",
        "12 jobs of yours wait\n36;cluster\n\n",
    ],
)
def test_the_handle_bears_the_id_that_sbatch_says(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor, answer: str
) -> None:
    sbatch.answers(answer)

    handle = executor.queue()

    assert isinstance(handle, SlurmJob)
    assert handle.job_id == "36"


def test_the_script_that_reaches_sbatch_is_exactly_ours(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor
) -> None:
    executor.queue()

    assert sbatch.script == SCRIPT.encode()


def test_sbatch_is_given_our_options_before_the_script_and_nothing_of_submitits(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor
) -> None:
    executor.queue()

    *options, script = sbatch.arguments
    assert options == ["--parsable", *OPTIONS]
    assert Path(script).parent == executor.folder


def test_the_script_is_kept_under_the_id_of_its_array(executor: SlurmArrayExecutor) -> None:
    handle = executor.queue()

    assert handle.paths.submission_file.name == "36_submission.sh"
    assert handle.paths.submission_file.read_text() == SCRIPT


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: invalid partition specified: nowhere\n",
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy",
        "sbatch: error: Batch job submission failed: Requested time limit is invalid",
        "",
    ],
)
def test_a_refusal_of_sbatch_is_told_in_its_own_words(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor, said: str
) -> None:
    sbatch.answers("", stderr=said, code=1)

    with pytest.raises(SlurmRefused) as error:
        executor.queue()

    refusal = error.value
    assert (refusal.command, refusal.returncode, refusal.stderr) == ("sbatch", 1, said.strip())


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
        "sbatch: error: Batch job submission failed: Transport endpoint is not connected",
        "sbatch: error: slurm_receive_msg: Connection reset by peer",
        "sbatch: error: Batch job submission failed: Unexpected message received",
    ],
)
def test_a_reply_that_was_lost_leaves_it_open_whether_anything_is_queued(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor, said: str
) -> None:
    sbatch.answers("", stderr=said, code=1)

    with pytest.raises(SubmissionUnknown) as error:
        executor.queue()

    assert error.value.token == TOKEN
    assert said.strip() in str(error.value)


@pytest.mark.parametrize("answer", ["", "\n", "Submitted batch job 36\n", "36\nGoodbye!\n"])
def test_an_answer_without_an_id_leaves_it_open_whether_anything_is_queued(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor, answer: str
) -> None:
    sbatch.answers(answer)

    with pytest.raises(SubmissionUnknown) as error:
        executor.queue()

    assert error.value.token == TOKEN


def test_an_sbatch_that_was_killed_leaves_it_open_whether_anything_is_queued(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor
) -> None:
    sbatch.answers("", code=-9)

    with pytest.raises(SubmissionUnknown):
        executor.queue()


def test_submitit_prints_nothing_that_we_raise(
    sbatch: FakeSbatch, executor: SlurmArrayExecutor, capfd: pytest.CaptureFixture[str]
) -> None:
    sbatch.answers("", stderr="no such partition", code=1)

    with pytest.raises(SlurmRefused):
        executor.queue()

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["sbatch", "srun"])
def test_a_machine_without_slurm_is_told_so_before_anything_is_queued(
    sbatch: FakeSbatch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    sbatch.remove(command)
    monkeypatch.setenv("PATH", sbatch.path)

    with pytest.raises(SlurmMissing) as error:
        SlurmArrayExecutor(tmp_path, SCRIPT, OPTIONS, TOKEN)

    assert error.value.command == command
