"""Watch: what a dispatcher tells of itself and the cluster, and the reconciler it runs, by turns with all others.

Its notes are for people and autoscalers: nothing depends on them, and a database that is away is waited out.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from heddle_infra.database import platform_notes
from heddle_infra.reconcile import Reconciliation, reconcile
from heddle_infra.wiring import Ports
from heddle_platform.errors import HeddleError
from heddle_workers.cluster import Cluster

_NOTE_SECONDS: Final = 2.0
_FORGET_SECONDS: Final = 600.0
_MOST_FINDINGS: Final = 500
_VIEW_SECONDS: Final = 5.0

log = structlog.get_logger()


async def keep_noting(ports: Ports, cluster: Cluster, owner: str, held: Callable[[], int]) -> None:
    """Note this dispatcher's view every few seconds, until cancelled.

    Args:
        ports: the outside world.
        cluster: what it sees.
        owner: its name in leases.
        held: how many jobs it holds.
    """
    since = datetime.now(UTC).isoformat()
    while True:
        try:
            async with asyncio.timeout(_VIEW_SECONDS):
                view = await cluster.view()
        except (HeddleError, TimeoutError) as error:
            view = {"reachable": False, "why": str(error) or type(error).__name__, "nodes": []}
        note: dict[str, Any] = {
            "owner": owner,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": since,
            "jobs_held": held(),
            "ray": view,
        }
        try:
            async with ports.database.platform_transaction() as session:
                await platform_notes.put(session, platform_notes.DISPATCHER + owner, note)
                await platform_notes.forget(session, platform_notes.DISPATCHER, older_than_seconds=_FORGET_SECONDS)
        except HeddleError as error:
            log.warning("view_not_noted", detail=str(error))
        except Exception:
            log.exception("view_not_noted")
        await asyncio.sleep(_NOTE_SECONDS)


async def keep_reconciling(ports: Ports) -> None:
    """Reconcile when it is due or an operator asked, until cancelled; of several dispatchers one does it."""
    settings = ports.settings.reconcile
    while True:
        await asyncio.sleep(_NOTE_SECONDS)
        try:
            async with ports.database.platform_transaction() as session:
                asked = await platform_notes.take(session, platform_notes.RECONCILIATION_WANTED)
                due = asked is None and await platform_notes.take_turn(
                    session, platform_notes.RECONCILIATION_TURN, every_seconds=settings.reconcile_every_seconds
                )
            if asked is not None or due:
                await _reconcile(ports, asked)
        except HeddleError as error:
            log.warning("reconciliation_failed", detail=str(error))
        except Exception:
            log.exception("reconciliation_failed")


async def _reconcile(ports: Ports, asked: dict[str, Any] | None) -> None:
    settings = ports.settings.reconcile
    repair = settings.reconcile_repair if asked is None else bool(asked["repair"])
    found = await reconcile(
        ports.database,
        ports.objects,
        grace_seconds=settings.reconcile_grace_seconds,
        lease_grace_seconds=2 * ports.settings.dispatch.lease_seconds,
        repair=repair,
    )
    log.info(
        "reconciled",
        clean=found.clean,
        repaired=found.repaired,
        unreached=found.unreached,
        seconds=found.seconds,
        **found.counts,
    )
    async with ports.database.platform_transaction() as session:
        await platform_notes.put(session, platform_notes.RECONCILIATION, _document(found, repair, asked))


def _document(found: Reconciliation, repair: bool, asked: dict[str, Any] | None) -> dict[str, Any]:
    told = found.model_dump(mode="json")
    told["findings"] = told["findings"][:_MOST_FINDINGS]
    return {
        **told,
        "id": None if asked is None else asked["id"],
        "repair": repair,
        "clean": found.clean,
        "repaired": found.repaired,
        "counts": found.counts,
    }
