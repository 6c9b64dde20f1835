"""Reconciling: rows and objects held against each other, and what no row names taken away."""

from heddle_infra.reconcile.findings import Finding, FindingKind, Reconciliation
from heddle_infra.reconcile.run import reconcile

__all__ = ["Finding", "FindingKind", "Reconciliation", "reconcile"]
