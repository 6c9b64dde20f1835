"""The pages of a version that was carried over to another base without its images: what is known of it."""

from collections.abc import Mapping
from typing import Any

from heddle_adapters.gate import Verdict
from heddle_adapters.playbook import rendered
from heddle_adapters.transport import Loss
from heddle_workers.fitted import CARD_PAGE, PLAYBOOK_PAGE


def carried_sentence(loss: Loss, from_version: int) -> str:
    """Say that a version was carried over, and with which loss."""
    least = min(loss.factors, key=lambda one: one.value)
    return (
        f"This version was carried over from version {from_version} to another base without its images, which are "
        f"gone: on {loss.anchors} public pictures it reads least as before for {least.name} ("
        f"{least.measure} {least.value:.2f}, {least.interval[0]:.2f} to {least.interval[1]:.2f})."
    )


def mapped_pages(
    card: Mapping[str, Any], verdict: Verdict, loss: Loss, reasons: tuple[str, ...], digest: str
) -> dict[str, bytes]:
    """Return file -> page: scorecard and playbook, each one HTML file.

    Args:
        card: the predecessor's, marked with `mapped`.
        verdict: the predecessor's, which stays.
        loss: measured on held-out public pictures.
        reasons: why a person is asked, if one is.
        digest: of the adapter.
    """
    told: dict[str, Any] = {
        "card": card,
        "mapped": card["mapped"],
        "sentence": carried_sentence(loss, card["mapped"]["from_version"]),
        "reasons": reasons,
        "digest": digest,
        "worst": min(one.value for one in loss.factors),
        "before": {factor["name"]: factor for factor in card.get("factors", ()) if "name" in factor},
        "refused": [name for name, factor in verdict.factors.items() if not factor.passed],
    }
    return {
        CARD_PAGE: rendered("mapped.html", **told),
        PLAYBOOK_PAGE: rendered("mapped_playbook.html", **told),
    }
