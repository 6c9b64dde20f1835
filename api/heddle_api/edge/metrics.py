"""Metrics of the edge, beside those of every request."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


@dataclass(frozen=True)
class EdgeMetrics:
    """What Prometheus learns of edits."""

    edits: Counter
    stages: Histogram
    extrapolated: Counter
    cache_failures: Counter
    near_hits: Counter
    batch_rows: Histogram
    _stage: dict[str, Histogram] = field(default_factory=dict)

    @classmethod
    def create(cls, registry: CollectorRegistry) -> "EdgeMetrics":
        """Make the metrics in a plane's registry."""
        return cls(
            Counter("heddle_edits_total", "Edits answered, by what the cache had.", ("cache",), registry=registry),
            Histogram(
                "heddle_edit_stage_seconds",
                "Time an edit spent per stage.",
                ("stage",),
                buckets=_SECONDS,
                registry=registry,
            ),
            Counter("heddle_edits_extrapolated_total", "Edits outside the trusted range.", registry=registry),
            Counter("heddle_cache_failures_total", "Cache calls that failed and were gone without.", registry=registry),
            Counter("heddle_near_hits_total", "Hits out of this process's own memory.", registry=registry),
            Histogram("heddle_batch_rows", "Pictures drawn together.", buckets=(1, 2, 4, 8, 16, 64), registry=registry),
        )

    def observe_stages(self, seconds: Mapping[str, float]) -> None:
        """Observe what an edit spent per stage."""
        for stage, spent in seconds.items():
            child = self._stage.get(stage)
            if child is None:
                child = self._stage[stage] = self.stages.labels(stage)
            child.observe(spent)
