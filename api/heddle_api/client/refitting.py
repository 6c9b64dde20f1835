"""Jobs on a version that there is: fitted anew, and scored on labels it has not seen."""

from typing import Final

from heddle_api.client.fitting import FittingCalls
from heddle_api.client.planes import segment
from heddle_api.client.results import Document, EstimateInfo, JobInfo, Result

BY_HAND: Final = "by hand"


class EvaluationInfo(Result):
    """What a version is worth on a labelled set: `factors`, each with its scores and held against the version's card.

    `better`, `equal` and `worse` name factors by what came of that; of `labels` images the version was fitted on `seen`
    (None: not known), and `scored` are what the scores are of.
    """

    adapter: str
    adapter_id: str
    version: int
    dataset: str
    labels: int
    seen: int | None
    scored: int
    accuracy: float
    factors: tuple[Document, ...]
    better: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()


class RefittingCalls(FittingCalls):
    """Calls of tenants on versions that are fitted."""

    def refit(
        self,
        adapter: str,
        *,
        dataset: str | None = None,
        factor_set: str | None = None,
        base: str | None = None,
        trigger: str = BY_HAND,
        priority: int = 0,
    ) -> JobInfo:
        """Queue a fit of an adapter with what it was last fitted with, or with what has come since.

        Where nothing has changed the job succeeds with `result["unchanged"]`, and the version before stands.

        Args:
            adapter: id or name.
            dataset: id or name of a labelled set; None: that of the version in production, else of the newest.
            factor_set: id, name or name@version; None: the newest version of the one it was fitted with.
            base: alias, id or name; None: the one it is on.
            trigger: why, such as "drift" or "feedback"; it stays with the job and the version.
            priority: -5 to 5, which of your own jobs goes first.
        """
        body = _refit(adapter, dataset, factor_set, base, trigger, priority)
        return JobInfo.model_validate(self._control.json("POST", "/v1/jobs", body))

    def evaluate(self, adapter: str, *, dataset: str, priority: int = 0) -> JobInfo:
        """Queue the scoring of a version on a labelled set; nothing that is served changes.

        Args:
            adapter: name@alias or name@version; by the name alone the version in production, else the newest.
            dataset: id or name of a labelled set.
            priority: -5 to 5, which of your own jobs goes first.
        """
        body = _evaluate(adapter, dataset, priority)
        return JobInfo.model_validate(self._control.json("POST", "/v1/jobs", body))

    def estimate_refit(
        self,
        adapter: str,
        *,
        dataset: str | None = None,
        factor_set: str | None = None,
        base: str | None = None,
        trigger: str = BY_HAND,
        priority: int = 0,
    ) -> EstimateInfo:
        """Say what a refit would cost and when it would be done; arguments as for `refit`."""
        body = _refit(adapter, dataset, factor_set, base, trigger, priority)
        return EstimateInfo.model_validate(self._control.json("POST", "/v1/jobs/estimate", body))

    def estimate_evaluation(self, adapter: str, *, dataset: str, priority: int = 0) -> EstimateInfo:
        """Say what an evaluation would cost and when it would be done; arguments as for `evaluate`."""
        body = _evaluate(adapter, dataset, priority)
        return EstimateInfo.model_validate(self._control.json("POST", "/v1/jobs/estimate", body))

    def evaluation(self, job_id: str) -> EvaluationInfo:
        """Read all that an evaluation found, by its job's id."""
        return EvaluationInfo.model_validate(self._control.json("GET", f"/v1/jobs/{segment(job_id)}/evaluation"))


def _refit(
    adapter: str, dataset: str | None, factor_set: str | None, base: str | None, trigger: str, priority: int
) -> Document:
    given = {"dataset": dataset, "factor_set": factor_set, "base": base}
    body: Document = {"type": "refit", "adapter": adapter, "trigger": trigger}
    return body | {name: value for name, value in given.items() if value is not None} | _priority(priority)


def _evaluate(adapter: str, dataset: str, priority: int) -> Document:
    body: Document = {"type": "evaluate", "adapter": adapter, "dataset": dataset}
    return body | _priority(priority)


def _priority(priority: int) -> Document:
    return {} if priority == 0 else {"priority": priority}
