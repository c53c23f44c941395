"""``slurmband reap-dead``: give back the tasks of workers that are dead."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from slurmband.cli.common import (
    DEFAULT_DB,
    DEFAULT_FORMAT,
    Db,
    Format,
    Json,
    open_store,
    plural,
    show,
)
from slurmband.clock import SystemClock
from slurmband.domain.workers import Worker
from slurmband.liveness.beats import Beats, Watch, ages
from slurmband.liveness.inquiry import causes_for
from slurmband.liveness.reaper import Loss, Reaper, Verdict
from slurmband.observe.times import duration
from slurmband.processes import fate_of
from slurmband.store.database import Store
from slurmband.store.modes import Mode


def reap_dead(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say who would be judged lost; change nothing.")
    ] = False,
    watch: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Watch beats for so long, where their age cannot be told from the files.",
        ),
    ] = 0.0,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """Find workers that are dead, and make the tasks they held ready again.

    Dead is a worker whose process is provably gone, or that is silent while SLURM says its job is
    over, or that is silent for twice its heartbeat timeout. SLURM is also asked why earlier ones died,
    where that is not known yet. Workers do all this among themselves; this is for when none is left.
    """
    logging.getLogger("slurmband.liveness").setLevel(logging.ERROR)  # the table says it
    store = open_store(db)
    reaper = Reaper(
        store,
        _silences(store, watch),
        causes_for(store, SystemClock().now, every=0).of,
        fate_of,
        SystemClock().now,
    )
    report = reaper.run_once(dry_run=dry_run)
    rows = [_row(verdict, dry_run=dry_run) for verdict in report.verdicts]
    rows += [_explained(loss, dry_run=dry_run) for loss in report.explained]
    if rows or as_json:
        columns = ("worker", "verdict", "reason", "evidence", "tasks")
        show(rows, columns, as_json=as_json, table_format=table_format)
    if not as_json:
        lost = "would be judged lost" if dry_run else "judged lost"
        sys.stdout.write(
            f"{plural(report.looked_at, 'worker')} looked at, {len(report.lost)} {lost}.\n"
        )


def _silences(store: Store, seconds: float) -> Any:
    """Return what says how long each worker has been silent: the files' ages, or watching them."""
    beats = Beats(store.layout.beats)
    local = store.mode is Mode.LOCAL

    def by_age(workers: Sequence[Worker]) -> Mapping[int, float]:
        keys = [worker.key for worker in workers]
        known = ages(beats, keys, file_system=store.mount.file_system, local=local)
        if len(known) == len(keys) or not seconds:
            return known
        return by_watching(keys)

    def by_watching(keys: list[int]) -> Mapping[int, float]:
        watch = Watch(beats, time.monotonic)
        silence = watch.look(keys, longest_gap=seconds)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            sys.stderr.write(f"\rwatching {len(keys)} workers, {left:.0f} s to go ")
            time.sleep(min(1.0, left))
            silence = watch.look(keys, longest_gap=seconds)
        sys.stderr.write("\n")
        return silence

    return by_age


def _row(verdict: Verdict, *, dry_run: bool) -> dict[str, Any]:
    evidence = verdict.evidence
    known = [f"process {evidence.fate.value}"]
    if evidence.silence is not None:
        known.append(f"silent for {duration(evidence.silence)}")
    if evidence.job is not None:
        known.append(f"SLURM: {evidence.job}")
    lost = "would be lost" if dry_run else "lost"
    return {
        "worker": verdict.worker.name,
        "verdict": lost if verdict.reason else "suspect",
        "reason": verdict.reason,
        "evidence": ", ".join(known),
        "silence": evidence.silence,
        "tasks": [f"{held.task} ({ending.outcome})" for held, ending in verdict.revoked],
    }


def _explained(loss: Loss, *, dry_run: bool) -> dict[str, Any]:
    return {
        "worker": loss.worker.name,
        "verdict": "would be explained" if dry_run else "explained",
        "reason": loss.told,
        "evidence": f"was lost: {loss.was}, SLURM: {loss.told}",
        "silence": None,
        "tasks": [f"{each.task} ({each.ending.outcome})" for each in loss.amended],
    }


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reap-dead")(reap_dead)
