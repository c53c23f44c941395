"""What an incarnation brings with it when it joins: its graph, and who it is."""

import logging

from slurmband.domain.graph import Graph
from slurmband.domain.workers import Element
from slurmband.graphband.options import Options
from slurmband.liveness import incarnation, output
from slurmband.liveness.incarnation import Applicant
from slurmband.processes import fate_of, identify
from slurmband.store import registration
from slurmband.store.database import Transaction

log = logging.getLogger(__name__)


def applicant(element: Element | None, options: Options) -> Applicant:
    """Describe this process as one that wants to join."""
    return Applicant(
        process=identify(),
        element=element,
        labels=options.labels,
        identifier=options.identifier,
        heartbeat_timeout=options.heartbeat_timeout,
        log=output.file_of(1),
    )


def register_graph(tx: Transaction, graph: Graph, options: Options, *, now: float) -> str | None:
    """Register a whole graph, unless it is registered; return the digest of its fingerprints, if any.

    Raises
    ------
    GraphChanged
        If another graph is registered.
    """
    registration.register(
        tx,
        graph,
        budgets=options.budgets,
        new_revision=False,
        compare=options.enable_fingerprints,
        alone=lambda: incarnation.alone(tx, fate_of=fate_of),
        now=now,
    )
    registered = registration.current(tx)
    assert registered is not None
    if options.enable_fingerprints and registered.fingerprints != graph.fingerprints:
        log.warning(
            "the fingerprints of this program are not the registered ones, and other workers are "
            "there: nothing is run again for it. They are compared by `slurmband submit`, by "
            "band.register(), and by the first worker after all others have left."
        )
    return registered.fingerprints
