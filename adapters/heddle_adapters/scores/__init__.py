"""Disentanglement scores on plain arrays: codes [N, L] float, factors [N, F], every result with its protocol."""

from heddle_adapters.scores.dci import DciResult, dci
from heddle_adapters.scores.jackknife import jackknife, wilson
from heddle_adapters.scores.mig import MigResult, mig
from heddle_adapters.scores.probe import ProbeResult, probe
from heddle_adapters.scores.result import Interval, Score

__all__ = [
    "DciResult",
    "Interval",
    "MigResult",
    "ProbeResult",
    "Score",
    "dci",
    "jackknife",
    "mig",
    "probe",
    "wilson",
]
