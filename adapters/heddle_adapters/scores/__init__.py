"""Disentanglement scores on plain arrays: codes [N, L] float, factors [N, F], every result with its protocol."""

from heddle_adapters.scores.active_units import ActiveUnitsResult, active_units
from heddle_adapters.scores.beta_vae import BetaVaeResult, beta_vae
from heddle_adapters.scores.dci import DciResult, dci
from heddle_adapters.scores.factor_vae import FactorVaeResult, factor_vae
from heddle_adapters.scores.infomec import InfoMecResult, infomec
from heddle_adapters.scores.irs import IrsResult, irs
from heddle_adapters.scores.jackknife import jackknife, wilson
from heddle_adapters.scores.lps import LpsResult, lps
from heddle_adapters.scores.mig import MigResult, mig
from heddle_adapters.scores.modularity import ModularityResult, modularity_explicitness
from heddle_adapters.scores.probe import ProbeResult, probe
from heddle_adapters.scores.result import Interval, Score
from heddle_adapters.scores.sap import SapResult, sap
from heddle_adapters.scores.total_correlation import TotalCorrelationResult, total_correlation

__all__ = [
    "ActiveUnitsResult",
    "BetaVaeResult",
    "DciResult",
    "FactorVaeResult",
    "InfoMecResult",
    "Interval",
    "IrsResult",
    "LpsResult",
    "MigResult",
    "ModularityResult",
    "ProbeResult",
    "SapResult",
    "Score",
    "TotalCorrelationResult",
    "active_units",
    "beta_vae",
    "dci",
    "factor_vae",
    "infomec",
    "irs",
    "jackknife",
    "lps",
    "mig",
    "modularity_explicitness",
    "probe",
    "sap",
    "total_correlation",
    "wilson",
]
