"""Bringing one adapter to another base: fitted anew from its stored set, or carried over where the images are gone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import digest_of, pack, unpack
from heddle_adapters.card import score_adapter
from heddle_adapters.editor import Frame, editor_core
from heddle_adapters.gate import Verdict
from heddle_adapters.paired import Difference, paired_differences
from heddle_adapters.rebase import Judgement, Served, judge_mapped, judge_rebased
from heddle_adapters.report import Card
from heddle_adapters.transport import Loss, loss_of, transported
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.digest import canonical_json
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import pack_latents, unpack_latents
from heddle_platform.manifest import Manifest
from heddle_platform.settings import LimitSettings
from heddle_workers.anchors import between
from heddle_workers.base_source import BaseSource, load_base
from heddle_workers.clock import Clock
from heddle_workers.encode import encode_rows
from heddle_workers.fetch import fetch_bytes, fetched_file
from heddle_workers.fit import exported, fit_set
from heddle_workers.fitted import ADAPTER_FILE, CARD_FILE, CORE_FILE, GRAPH_FILE, Fitted
from heddle_workers.image_set import ImageSet, open_image_set
from heddle_workers.mapped_pages import mapped_pages
from heddle_workers.progress import silent
from heddle_workers.rolled import Predecessor, Rebased, RebaseItem
from heddle_workers.tasks import ARTIFACT_MAX_BYTES, LATENTS_MAX_BYTES, MANIFEST_MAX_BYTES, SetSource
from heddle_workers.trips import RoundTrips

# Pictures take most of a fit's time. A fifth of them settles most adapters: gains, modes, interactions and the gate's
# edits are measured as on any full card, with wider intervals, while effect curves, DCI and the page's strips, which no
# gate asks for, are left out, and the card says so. Who is held back, or loses a hint of its effect, is looked at again
# with three times as many: two of twelve adapters whose bases draw alike had fallen "beyond noise" in one of their six
# factors, and none had then. What is still not settled gets a full card.
_QUICK = partial(score_adapter, round_trips=600, forests=False, curves=False)
_CLOSER = partial(score_adapter, round_trips=1_800, forests=False, curves=False)
_FIRST_LOOK = "fitting"
_LOOKS: dict[str, Callable[..., tuple[Adapter, Card]]] = {
    _FIRST_LOOK: _QUICK,
    "fitting_in_doubt": _CLOSER,
    "fitting_in_full": score_adapter,
}
_HINT = 0.03  # fall of the mean effect: what 170 edits that arrive in .95 of cases differ by now and then


def rebase(item: RebaseItem, base: BaseSource, limits: LimitSettings, threads: int) -> Rebased:
    """Bring an adapter to a base, and judge it against its predecessor.

    Args:
        item: the adapter.
        base: the new base.
        limits: those of the set's validation.
        threads: for decoding and drawing.

    Raises:
        HeddleError: the set cannot be read or allows no fit, or a store is away.
    """
    if item.source is None:
        return _mapped(item, base)
    return _refitted(item, item.source, base, limits, threads)


def _refitted(item: RebaseItem, source: SetSource, base: BaseSource, limits: LimitSettings, threads: int) -> Rebased:
    clock, runtime = Clock(), load_base(base)
    factor_set = parse_factor_set(item.factor_set)
    with clock.timed("fetching"), _opened(source, limits) as (manifest, images):
        latents_NM, packed = _latents(item.new_latents_url, images, base, clock, threads)
        before_NL, _ = _latents(item.old_latents_url, images, item.old, clock, threads)
        table = manifest.table(factor_set)
        labelled = len(table.files)
        with clock.timed("comparing"):
            differences = paired_differences(
                before_NL[:labelled].astype(np.float64),
                latents_NM[:labelled].astype(np.float64),
                table.values_NF,
                factor_set,
                weight_N=table.weight_N,
            )
        trips, served = RoundTrips(runtime, images, latents_NM, threads), _served(item.before)
        read_worse = any(one.outcome == "worse" for one in differences)
        for part, score in _LOOKS.items():
            with clock.timed(part):
                fitted = fit_set(table, factor_set, trips, silent, score=score, strips=score is score_adapter)
                judgement = _judged(fitted, served, differences)
            fallen = read_worse or (part != _FIRST_LOOK and _fell(judgement))
            if fallen or not _in_doubt(judgement, fitted, served):
                break
    inside = ("encoding", "comparing", *_LOOKS)
    clock.seconds["fetching"] -= sum(clock.seconds.get(part, 0.0) for part in inside)
    numbers = {
        "differences": [asdict(one) for one in differences],
        "effect": [_effect(item.before.card), _effect(fitted.card)],
        "pictures": fitted.card["round_trips"],
        "rows": labelled,
    }
    return _result(item, judgement, _gated(fitted, judgement), packed, numbers, clock, mapped=False)


def _judged(fitted: Fitted, served: Served | None, differences: Sequence[Difference]) -> Judgement:
    card, verdict = Card.model_validate(fitted.card), Verdict.model_validate(fitted.gate)
    return judge_rebased(card, verdict, served, differences)


def _in_doubt(judgement: Judgement, fitted: Fitted, served: Served | None) -> bool:
    """Tell whether a card of few pictures does not settle it: it holds back what reads as well, or hints at a loss."""
    if not judgement.passed:
        return True
    before, after = (served.card.effect if served else None), _effect(fitted.card)
    return before is not None and after is not None and before - after > _HINT


def _fell(judgement: Judgement) -> bool:
    """Tell whether an edit fell beyond noise."""
    compared = judgement.verdict.compared
    return compared is not None and any(
        change.outcome != "pass" and change.measure != "present" for change in compared.changes
    )


def _mapped(item: RebaseItem, base: BaseSource) -> Rebased:
    clock, runtime = Clock(), load_base(base)
    old = unpack(fetch_bytes(item.before.adapter_url, max_bytes=ARTIFACT_MAX_BYTES))
    with clock.timed("mapping"):
        words = between(item.old, base)
        moved = transported(old, words, base.digest)
        loss = loss_of(old, moved, words)
    verdict = Verdict.model_validate(item.before.gate)
    judgement = judge_mapped(loss, verdict, approved=item.before.approved)
    numbers = {"mapped": asdict(loss)}
    mark = {"from_base": old.base_digest, "from_version": item.before.version, **asdict(loss)}
    with clock.timed("exporting"):
        card = {**item.before.card, "base_digest": base.digest, "mapped": mark}
        fitted = _files(moved, runtime, card, judgement, loss)
    return _result(item, judgement, fitted, None, numbers, clock, mapped=True)


def _files(adapter: Adapter, runtime: BaseRuntime, card: dict[str, Any], judgement: Judgement, loss: Loss) -> Fitted:
    packed = pack(adapter)
    gate = judgement.verdict.model_dump(mode="json")
    document = {**card, "gate": gate}
    files = {
        ADAPTER_FILE: packed,
        GRAPH_FILE: exported(adapter),
        CORE_FILE: editor_core(adapter, Frame(runtime.image_size, runtime.mean_L, runtime.std_L)),
        CARD_FILE: canonical_json(document),
        **mapped_pages(document, judgement.verdict, loss, judgement.reasons, digest_of(packed)),
    }
    return Fitted(digest_of(packed), judgement.verdict.verdict, gate, document, files, {})


def _gated(fitted: Fitted, judgement: Judgement) -> Fitted:
    gate = judgement.verdict.model_dump(mode="json")
    card = {**fitted.card, "gate": gate}
    return Fitted(fitted.digest, judgement.verdict.verdict, gate, card, fitted.files, fitted.seconds)


def _result(
    item: RebaseItem,
    judgement: Judgement,
    fitted: Fitted,
    latents: bytes | None,
    numbers: dict[str, Any],
    clock: Clock,
    *,
    mapped: bool,
) -> Rebased:
    return Rebased(
        item.before.key,
        judgement.outcome,
        judgement.passed,
        judgement.carried,
        mapped,
        fitted,
        latents,
        numbers,
        judgement.reasons,
        clock.seconds,
    )


def _latents(
    url: str | None, images: ImageSet, base: BaseSource, clock: Clock, threads: int
) -> tuple[NDArray[np.float32], bytes | None]:
    """Return the set's latents, and their bytes where they had to be made."""
    if url is not None:
        return unpack_latents(fetch_bytes(url, max_bytes=LATENTS_MAX_BYTES), rows=len(images)), None
    with clock.timed("encoding"):
        latents_NL = encode_rows(images, range(len(images)), load_base(base), silent, threads=threads)
    return latents_NL, pack_latents(latents_NL)


@contextmanager
def _opened(source: SetSource, limits: LimitSettings) -> Iterator[tuple[Manifest, ImageSet]]:
    manifest = Manifest.from_bytes(fetch_bytes(source.manifest_url, max_bytes=MANIFEST_MAX_BYTES))
    with (
        fetched_file(source.images_url, max_bytes=limits.upload_max_bytes) as fetched,
        open_image_set(fetched.file, manifest.files, limits) as images,
    ):
        yield manifest, images


def _served(before: Predecessor) -> Served | None:
    try:
        card, verdict = Card.model_validate(before.card), Verdict.model_validate(before.gate)
    except ValidationError:
        return None  # a card of an older format says nothing that could be compared
    return Served(before.version, card, verdict, before.approved)


def _effect(card: dict[str, Any]) -> float | None:
    value = card.get("effect")
    return float(value) if isinstance(value, int | float) else None
