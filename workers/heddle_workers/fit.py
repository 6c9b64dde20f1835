"""The fit: latents and labels of a set to everything a version consists of, as bytes. Computes, and writes nothing."""

from collections.abc import Callable
from typing import Any, Final

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import digest_of, pack
from heddle_adapters.brief import brief_steps
from heddle_adapters.card import score_adapter
from heddle_adapters.editor import Frame, editor_core
from heddle_adapters.export import check_parity, to_onnx
from heddle_adapters.gate import judge
from heddle_adapters.playbook import Findings, card_page, playbook_page
from heddle_adapters.report import Card
from heddle_adapters.statistics import gather, pack_statistics
from heddle_adapters.steps import Steps, driven
from heddle_platform.digest import canonical_json
from heddle_platform.factors import FactorSet
from heddle_platform.labels import LabelTable
from heddle_platform.records import CardKind
from heddle_workers.clock import Clock
from heddle_workers.export import runner
from heddle_workers.fitted import (
    ADAPTER_FILE,
    CARD_FILE,
    CARD_PAGE,
    CORE_FILE,
    GRAPH_FILE,
    PLAYBOOK_PAGE,
    STATISTICS_FILE,
    Fitted,
)
from heddle_workers.progress import Report
from heddle_workers.strips import draw_strips
from heddle_workers.trips import RoundTrips

# Shares of the work that are behind at the start of each stage; scoring draws thousands of pictures.
_GATING: Final = 0.85
_EXPORTING: Final = 0.88
_DRAWING: Final = 0.92
# Where each stage of scoring begins and ends, as shares of scoring; edits are drawn once per mode.
_SCORING: Final = {
    "fit": (0.0, 0.15),
    "tune": (0.15, 0.35),
    "edit": (0.35, 0.7),
    "curves": (0.7, 0.9),
    "score": (0.9, 1.0),
}


def fit_set(
    table: LabelTable,
    factor_set: FactorSet,
    trips: RoundTrips,
    report: Report,
    *,
    kind: CardKind = "full",
    score: Callable[..., tuple[Adapter, Card]] = score_adapter,
    strips: bool = True,
) -> Fitted:
    """Fit, score, gate and export.

    Args:
        table: labels and weights of the first rows of the set; the rows after them are the unlabelled pool.
        factor_set: the factors.
        trips: the set, its latents and the base.
        report: told of each stage and the share of the whole.
        kind: "full", or "brief" for a card of a few edits and no pictures (`heddle_adapters.brief`), which asks for
            no image of the set.
        score: what fits and writes a full card: `score_adapter`, or it with a smaller budget.
        strips: whether pictures before and after are drawn for the page of a full card.

    Raises:
        InvalidInput: the labels allow no fit.
        DataCorrupt: the ONNX graph does not compute what the adapter computes; nothing of this may be served.
    """
    if kind == "brief":
        return driven(fit_briefly(table, factor_set, trips, report), trips.decoded)
    clock = Clock()
    with clock.timed("scoring_seconds"):
        adapter, card = score(
            **_labelled(table, factor_set, trips, report),
            round_trip=trips.decoded,
            preserve_trip=trips.preserved,
        )
    return _written(adapter, card, table, trips, report, clock, pages=True, strips=strips)


def fit_briefly(table: LabelTable, factor_set: FactorSet, trips: RoundTrips, report: Report) -> Steps[Fitted]:
    """Do what `fit_set` does with a brief card, in steps: the pictures of several fits are drawn together.

    Its pages are drawn by who asks for them (`playbook.drawn_page`): most pages of a fleet are never opened.
    """
    adapter, card = yield from brief_steps(**_labelled(table, factor_set, trips, report))
    return _written(adapter, card, table, trips, report, Clock(), pages=False)


def _labelled(table: LabelTable, factor_set: FactorSet, trips: RoundTrips, report: Report) -> dict[str, Any]:
    """Return what a fit is scored from, as the arguments of `score_adapter` and `brief_steps`."""
    labelled = len(table.files)
    pool_ML = trips.latents_NL[labelled:]
    return {
        "latents_NL": trips.latents_NL[:labelled].astype("float64"),
        "values_NF": table.values_NF,
        "factor_set": factor_set,
        "base_digest": trips.runtime.digest,
        "pool_ML": pool_ML.astype("float64") if len(pool_ML) else None,
        "weight_N": table.weight_N,
        "pool_names": trips.images.files[labelled:],
        "progress": _scoring(report),
    }


def _written(
    adapter: Adapter,
    card: Card,
    table: LabelTable,
    trips: RoundTrips,
    report: Report,
    clock: Clock,
    *,
    pages: bool,
    strips: bool = False,
) -> Fitted:
    """Gate a scored adapter and write its files."""
    factor_set, labelled = adapter.factor_set, len(table.files)
    pool_ML = trips.latents_NL[labelled:]
    report("gating", _GATING)
    verdict = judge(card, factor_set)
    adapter = adapter.with_refused(verdict.refused)
    report("exporting", _EXPORTING)
    with clock.timed("exporting_seconds"):
        packed, graph = pack(adapter), exported(adapter)
        runtime = trips.runtime
        digest = digest_of(packed)
        core = editor_core(adapter, Frame(runtime.image_size, runtime.mean_L, runtime.std_L), digest)
        statistics = gather(
            trips.latents_NL[:labelled].astype("float64"),
            table.values_NF,
            factor_set,
            adapter.codings,
            base_digest=runtime.digest,
            pool_ML=pool_ML.astype("float64"),
            weight_N=table.weight_N,
            ridge=adapter.ridge,
        )
    drawn: dict[str, bytes] = {}
    if pages:
        report("exporting", _DRAWING)
        with clock.timed("drawing_seconds"):
            findings = Findings(adapter, card, verdict, digest, draw_strips(adapter, table, trips) if strips else ())
            drawn = {CARD_PAGE: card_page(findings), PLAYBOOK_PAGE: playbook_page(findings)}
    gate = verdict.model_dump(mode="json")
    document = {**card.document(), "gate": gate}
    files = {
        ADAPTER_FILE: packed,
        GRAPH_FILE: graph,
        CORE_FILE: core,
        STATISTICS_FILE: pack_statistics(statistics),
        CARD_FILE: canonical_json(document),
        **drawn,
    }
    return Fitted(digest, verdict.verdict, gate, document, files, clock.seconds)


def exported(adapter: Adapter) -> bytes:
    """Return the adapter as an ONNX graph that ONNX Runtime computes as the adapter does.

    Raises:
        DataCorrupt: it does not, within 1e-5 at batch 1, 2, 7 and 64.
    """
    graph = to_onnx(adapter)
    check_parity(adapter, runner(graph))
    return graph


def _scoring(report: Report) -> Report:
    behind = 0.0

    def told(stage: str, share: float) -> None:
        nonlocal behind
        start, end = _SCORING.get(stage, (behind, behind))
        behind = max(behind, start + (end - start) * share)
        report("scoring", _GATING * behind)

    return told
