"""The Ray task of rollouts: a chunk of adapters, handed over one by one as they are done; see `tasks`."""

from collections.abc import Iterator

from heddle_platform.errors import HeddleError
from heddle_workers.progress import Failed, Progress, Report, Tell, Told, streamed_telling
from heddle_workers.rolled import ChunkDone, NotRebased, RebaseItem, RolloutRequest


def heddle_rollout(request: RolloutRequest) -> Iterator[Progress | Failed | Told | ChunkDone]:
    """Bring a chunk of adapters to a base; one that cannot be brought does not stop the others."""

    def work(report: Report, tell: Tell) -> ChunkDone:
        from heddle_workers.rebase import rebase

        def one(item: RebaseItem) -> None:
            try:
                tell(rebase(item, request.base, request.limits, request.threads))
            except HeddleError as error:
                tell(NotRebased(item.before.key, error.code, error.message, error.retryable))
            except Exception as error:  # an error of ours in one tenant's set must not hold up the others
                sentence = f"an error of ours ({type(error).__name__}: {error})"[:500]
                tell(NotRebased(item.before.key, "internal_error", sentence, retryable=False))

        for index, item in enumerate(request.items):
            report("rolling_out", index / len(request.items))
            one(item)
        return ChunkDone(len(request.items))

    yield from streamed_telling(work)
