"""AsyncHeddleClient: the client for programs that run on an event loop, every call written once.

Each call runs on one of the client's own threads, so thousands may be awaited and `connections` of them are under way;
waiting for jobs and sets is done on the loop and holds none. A call that is cancelled is not sent again, but what was
sent already is not taken back: a POST's Idempotency-Key belongs to the call.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from heddle_api.client.fitting import POLL_SECONDS, timed_out
from heddle_api.client.heddle import HeddleClient
from heddle_api.client.results import DatasetInfo, JobInfo

P = ParamSpec("P")
T = TypeVar("T")
CONNECTIONS: Final = 32


def _awaited(
    method: Callable[Concatenate[HeddleClient, P], T],
) -> Callable[Concatenate["AsyncHeddleClient", P], Coroutine[Any, Any, T]]:
    @wraps(method)
    async def call(self: "AsyncHeddleClient", /, *args: P.args, **options: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(method, self._client, *args, **options))

    return call


class AsyncHeddleClient:
    """A client of both planes for one key; its methods are those of `HeddleClient`, awaited.

        async with AsyncHeddleClient(control_url, edge_url, api_key) as heddle:
            pictures = await asyncio.gather(*(heddle.edit(path, wish) for path in paths))

    Raises:
        ApiError: from every method, when the platform refuses or fails.
        Unreachable: from every method, when it does not answer.
    """

    def __init__(
        self,
        control_url: str,
        edge_url: str | None = None,
        api_key: str | None = None,
        *,
        connections: int = CONNECTIONS,
        **options: Any,
    ) -> None:
        """Remember where to connect to; nothing is sent yet.

        Args:
            control_url, edge_url, api_key: as for `HeddleClient`.
            connections: how many requests may be under way at once.
            options: further ones of `HeddleClient`.
        """
        self._client = HeddleClient(control_url, edge_url, api_key, **options)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="heddle-client")

    async def wait_for_dataset(
        self,
        reference: str,
        *,
        on_progress: Callable[[DatasetInfo], None] | None = None,
        timeout_seconds: float = 600.0,
    ) -> DatasetInfo:
        """Wait until a labelled set is ready or rejected.

        Args:
            reference: id or name of the set.
            on_progress: told the set whenever it was read.
            timeout_seconds: how long to wait.

        Raises:
            ApiError: code `wait_timed_out`.
        """
        ends = time.monotonic() + timeout_seconds
        while True:
            found = await self.dataset(reference)
            if on_progress is not None:
                on_progress(found)
            if found.status != "validating":
                return found
            await self._pause(ends, timeout_seconds)

    async def wait_for_job(
        self,
        job_id: str,
        *,
        on_progress: Callable[[JobInfo], None] | None = None,
        timeout_seconds: float = 3_600.0,
    ) -> JobInfo:
        """Wait until a job is over and return it, failed or not.

        Args:
            job_id: the job.
            on_progress: told the job whenever it was read.
            timeout_seconds: how long to wait.

        Raises:
            ApiError: code `wait_timed_out`.
        """
        ends = time.monotonic() + timeout_seconds
        while True:
            job = await self.job(job_id)
            if on_progress is not None:
                on_progress(job)
            if job.is_final:
                return job
            await self._pause(ends, timeout_seconds)

    @staticmethod
    async def _pause(ends: float, timeout_seconds: float) -> None:
        if time.monotonic() > ends:
            raise timed_out(timeout_seconds)
        await asyncio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        """Release connections and threads; requests under way are waited for."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # one line for each call; a test holds the list complete
    me = _awaited(HeddleClient.me)
    create_tenant = _awaited(HeddleClient.create_tenant)
    tenants = _awaited(HeddleClient.tenants)
    delete_tenant = _awaited(HeddleClient.delete_tenant)
    change_tenant = _awaited(HeddleClient.change_tenant)
    create_key = _awaited(HeddleClient.create_key)
    keys = _awaited(HeddleClient.keys)
    revoke_key = _awaited(HeddleClient.revoke_key)
    rotate_key = _awaited(HeddleClient.rotate_key)
    quota = _awaited(HeddleClient.quota)
    set_quota = _awaited(HeddleClient.set_quota)
    usage = _awaited(HeddleClient.usage)
    audit_events = _awaited(HeddleClient.audit_events)
    cluster = _awaited(HeddleClient.cluster)
    reconcile = _awaited(HeddleClient.reconcile)
    reconciliations = _awaited(HeddleClient.reconciliations)
    audit_chains = _awaited(HeddleClient.audit_chains)
    verify_audit = _awaited(HeddleClient.verify_audit)
    upload = _awaited(HeddleClient.upload)
    bases = _awaited(HeddleClient.bases)
    base = _awaited(HeddleClient.base)
    base_card = _awaited(HeddleClient.base_card)
    base_card_page = _awaited(HeddleClient.base_card_page)
    publish_base = _awaited(HeddleClient.publish_base)
    base_alias = _awaited(HeddleClient.base_alias)
    move_base_alias = _awaited(HeddleClient.move_base_alias)
    pretrain = _awaited(HeddleClient.pretrain)
    sweep = _awaited(HeddleClient.sweep)
    sweep_report = _awaited(HeddleClient.sweep_report)
    sweep_report_page = _awaited(HeddleClient.sweep_report_page)
    register_factor_set = _awaited(HeddleClient.register_factor_set)
    check_factor_set = _awaited(HeddleClient.check_factor_set)
    factor_sets = _awaited(HeddleClient.factor_sets)
    factor_set = _awaited(HeddleClient.factor_set)
    create_dataset = _awaited(HeddleClient.create_dataset)
    upload_dataset = _awaited(HeddleClient.upload_dataset)
    datasets = _awaited(HeddleClient.datasets)
    dataset = _awaited(HeddleClient.dataset)
    delete_dataset = _awaited(HeddleClient.delete_dataset)
    validation = _awaited(HeddleClient.validation)
    label_pictures = _awaited(HeddleClient.label_pictures)
    fit = _awaited(HeddleClient.fit)
    estimate_job = _awaited(HeddleClient.estimate_job)
    refit = _awaited(HeddleClient.refit)
    evaluate = _awaited(HeddleClient.evaluate)
    estimate_refit = _awaited(HeddleClient.estimate_refit)
    estimate_evaluation = _awaited(HeddleClient.estimate_evaluation)
    evaluation = _awaited(HeddleClient.evaluation)
    export = _awaited(HeddleClient.export)
    estimate_export = _awaited(HeddleClient.estimate_export)
    export_archive = _awaited(HeddleClient.export_archive)
    save_export = _awaited(HeddleClient.save_export)
    check_drift = _awaited(HeddleClient.check_drift)
    preview_fit = _awaited(HeddleClient.preview_fit)
    jobs = _awaited(HeddleClient.jobs)
    job = _awaited(HeddleClient.job)
    job_events = _awaited(HeddleClient.job_events)
    cancel_job = _awaited(HeddleClient.cancel_job)
    retry_job = _awaited(HeddleClient.retry_job)
    adapters = _awaited(HeddleClient.adapters)
    adapter = _awaited(HeddleClient.adapter)
    versions = _awaited(HeddleClient.versions)
    version = _awaited(HeddleClient.version)
    card = _awaited(HeddleClient.card)
    card_page = _awaited(HeddleClient.card_page)
    playbook_page = _awaited(HeddleClient.playbook_page)
    download = _awaited(HeddleClient.download)
    download_to = _awaited(HeddleClient.download_to)
    approve = _awaited(HeddleClient.approve)
    reject = _awaited(HeddleClient.reject)
    alias = _awaited(HeddleClient.alias)
    move_alias = _awaited(HeddleClient.move_alias)
    rollback = _awaited(HeddleClient.rollback)
    alias_moves = _awaited(HeddleClient.alias_moves)
    items = _awaited(HeddleClient.items)
    erase = _awaited(HeddleClient.erase)
    erase_item = _awaited(HeddleClient.erase_item)
    erasures = _awaited(HeddleClient.erasures)
    erasure = _awaited(HeddleClient.erasure)
    wait_for_erasure = _awaited(HeddleClient.wait_for_erasure)
    signing_key = _awaited(HeddleClient.signing_key)
    edit = _awaited(HeddleClient.edit)
    take_image = _awaited(HeddleClient.take_image)
    edit_batch = _awaited(HeddleClient.edit_batch)
    batches = _awaited(HeddleClient.batches)
    batch = _awaited(HeddleClient.batch)
    wait_for_batch = _awaited(HeddleClient.wait_for_batch)
    batch_item = _awaited(HeddleClient.batch_item)
    download_batch = _awaited(HeddleClient.download_batch)
    delete_batch = _awaited(HeddleClient.delete_batch)
    edit_grid = _awaited(HeddleClient.edit_grid)
    report_feedback = _awaited(HeddleClient.report_feedback)
    feedback = _awaited(HeddleClient.feedback)
    drift = _awaited(HeddleClient.drift)
    add_webhook = _awaited(HeddleClient.add_webhook)
    webhooks = _awaited(HeddleClient.webhooks)
    webhook = _awaited(HeddleClient.webhook)
    change_webhook = _awaited(HeddleClient.change_webhook)
    remove_webhook = _awaited(HeddleClient.remove_webhook)
    rotate_webhook = _awaited(HeddleClient.rotate_webhook)
    deliveries = _awaited(HeddleClient.deliveries)
    redeliver = _awaited(HeddleClient.redeliver)
    start_rollout = _awaited(HeddleClient.start_rollout)
    rollouts = _awaited(HeddleClient.rollouts)
    rollout = _awaited(HeddleClient.rollout)
    wait_for_rollout = _awaited(HeddleClient.wait_for_rollout)
    rollout_report = _awaited(HeddleClient.rollout_report)
    rollout_page = _awaited(HeddleClient.rollout_page)
    continue_rollout = _awaited(HeddleClient.continue_rollout)
    roll_back_rollout = _awaited(HeddleClient.roll_back_rollout)
    cancel_rollout = _awaited(HeddleClient.cancel_rollout)
