"""All scores of one set of codes, one after the other, each with its seconds or with the reason it is not defined."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.scores.active_units import active_units
from heddle_adapters.scores.beta_vae import beta_vae
from heddle_adapters.scores.dci import dci
from heddle_adapters.scores.factor_vae import factor_vae
from heddle_adapters.scores.infomec import infomec
from heddle_adapters.scores.irs import irs
from heddle_adapters.scores.jackknife import jackknife
from heddle_adapters.scores.lps import lps
from heddle_adapters.scores.mig import mig
from heddle_adapters.scores.modularity import modularity_explicitness
from heddle_adapters.scores.probe import probe
from heddle_adapters.scores.result import Interval, Score
from heddle_adapters.scores.sap import sap
from heddle_adapters.scores.total_correlation import total_correlation
from heddle_platform.errors import InvalidInput

Measure = Callable[[], Score]


@dataclass(frozen=True, eq=False)
class Line:
    """One score of the panel.

    Attributes:
        name: of the score.
        score: its result; None where it is not defined.
        refusal: the sentence that says why it is not.
        interval: 95 % by jackknife, for the gap only.
        seconds: it took.
    """

    name: str
    score: Score | None
    refusal: InvalidInput | None
    interval: Interval | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain numbers, lists and dictionaries."""
        document: dict[str, Any] = {"name": self.name, "seconds": round(self.seconds, 4)}
        if self.refusal is not None:
            return document | {"value": None, "not_defined": self.refusal.message, "code": self.refusal.code}
        if self.score is not None:
            document |= self.score.as_json()
        if self.interval is not None:
            document["interval"] = list(self.interval.as_pair())
        return document


def measures(
    codes: NDArray[Any], factors: NDArray[Any], kinds: Sequence[str] | None = None, *, boosted: bool = False
) -> dict[str, Measure]:
    """Return every score by name, ready to be called.

    Args:
        codes: [N, L].
        factors: [N, F].
        kinds: kind of each factor.
        boosted: with gradient-boosted DCI, which takes minutes at 10,000 rows.
    """
    known = list(kinds) if kinds is not None else None
    panel: dict[str, Measure] = {
        "mig": partial(mig, codes, factors, kinds=known),
        "mig_knn": partial(mig, codes, factors, "knn", kinds=known),
        "dci": partial(dci, codes, factors, known),
    }
    if boosted:
        panel["dci_boosted"] = partial(dci, codes, factors, known, "boosted")
    return panel | {
        "sap": partial(sap, codes, factors, known),
        "factor_vae": partial(factor_vae, codes, factors, known),
        "beta_vae": partial(beta_vae, codes, factors, known),
        "modularity_explicitness": partial(modularity_explicitness, codes, factors, known),
        "irs": partial(irs, codes, factors, known),
        "infomec": partial(infomec, codes, factors, known),
        "probe": partial(probe, codes, factors, known),
        "lps": partial(lps, codes),
        "active_units": partial(active_units, codes),
        "total_correlation": partial(total_correlation, codes),
    }


def every_score(
    codes: NDArray[Any],
    factors: NDArray[Any],
    kinds: Sequence[str] | None = None,
    *,
    boosted: bool = False,
    on_start: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Iterator[Line]:
    """Yield one line per score; what the input does not define is a line with its reason, not the end of the panel.

    Args:
        codes: [N, L].
        factors: [N, F].
        kinds: kind of each factor.
        boosted: with gradient-boosted DCI.
        on_start: called with (name, scores done, scores) before each.
    """
    panel = measures(codes, factors, kinds, boosted=boosted)
    for done, (name, measure) in enumerate(panel.items()):
        on_start(name, done, len(panel))
        started = time.perf_counter()
        score, refusal, interval = None, None, None
        try:
            score = measure()
            if name == "mig" and len(codes) >= 100:
                interval = jackknife(partial(mig, kinds=kinds), np.asarray(codes), np.asarray(factors))
        except InvalidInput as error:
            refusal = error if score is None else None
        yield Line(name, score, refusal, interval, time.perf_counter() - started)
