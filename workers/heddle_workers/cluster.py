"""The Ray cluster as the dispatcher sees it: run a task, follow its progress, cancel it, notice when Ray is gone.

Calls that may wait for Ray's head run in threads: with the head dead they block for a minute and then end the process
(Ray's own doing), which must not stop heartbeats meanwhile.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar, cast

import ray
import structlog
from ray.exceptions import LocalRayletDiedError, NodeDiedError, RayError

from heddle_platform.errors import Unavailable
from heddle_platform.settings import RaySettings
from heddle_workers.nodes import is_alive, view_of
from heddle_workers.progress import Failed, Progress, Report, Told, silent
from heddle_workers.tasks import heddle_warm

Request = TypeVar("Request")
Result = TypeVar("Result")
Task = Callable[[Request], Iterator[Progress | Failed | Told | Result]]

_CANCEL_GRACE_SECONDS: Final = 1.0
_PROBE_SECONDS: Final = 1.0
_ATTACHED_SECONDS: Final = 3.0
_WARM_SECONDS: Final = 0.3
_WARM_UP_SECONDS: Final = 90.0
_NAMESPACE: Final = "heddle"

log = structlog.get_logger()


class WorkerLost(Unavailable):
    """The Ray worker died under the task, or Ray lost it."""

    default_code = "worker_lost"


class NodeLost(WorkerLost):
    """The node or the whole cluster died under the task, which is not to blame for it."""

    default_code = "node_lost"


class Cluster:
    """A connection to Ray. One per process, for Ray allows no more.

    Attributes:
        joined: whether this process is a driver by now, which it stays: one that lost its cluster must be replaced.
    """

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._remote: dict[str, Any] = {}
        self._cancelling: set[asyncio.Task[None]] = set()
        self._node_id = b""
        self.joined = False
        self.cpus = 1
        self.task_cpus = 1.0
        self.encode_gpus = settings.ray_encode_gpus
        self.encode_cpus = settings.ray_encode_cpus
        self.pretrain_cpus = settings.ray_pretrain_cpus

    @property
    def slots(self) -> int:
        """How many tasks of ordinary size run at once."""
        return max(1, int(self.cpus / self.task_cpus))

    @property
    def threads(self) -> int:
        """How many threads an ordinary task may use."""
        return max(1, int(self.task_cpus))

    async def reachable(self) -> bool:
        """Tell whether Ray's head accepts connections."""
        host, _, port = self._settings.ray_address.rpartition(":")
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                _, writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def attached(self) -> bool:
        """Tell whether the cluster that answers is the one we joined, and our node is part of it.

        A head that died and came back at the same address is another cluster: it knows neither our node nor our
        tasks, and whoever waits for these waits for ever.
        """
        if not await self.reachable():
            return False
        try:
            async with asyncio.timeout(_ATTACHED_SECONDS):
                return await asyncio.to_thread(is_alive, self._settings.ray_address, self._node_id)
        except (RayError, ConnectionError, RuntimeError, OSError, TimeoutError) as error:
            log.warning("ray_not_attached", detail=str(error)[:200] or type(error).__name__)
            return False

    async def connect(self) -> None:
        """Join the cluster, unless that was done.

        Raises:
            Unavailable: Ray cannot be reached, or refuses the token.
        """
        if self.joined:
            return
        if not await self.reachable():
            raise Unavailable(f"Ray does not answer at {self._settings.ray_address}")
        try:
            await asyncio.to_thread(self._connect)
        except (RayError, ConnectionError, RuntimeError, ValueError) as error:
            raise Unavailable(f"Ray at {self._settings.ray_address} refuses us: {str(error)[:200]}") from error

    def _connect(self) -> None:
        ray.init(
            address=self._settings.ray_address, namespace=_NAMESPACE, log_to_driver=False, logging_level=logging.ERROR
        )
        self.joined = True
        self._node_id = bytes.fromhex(ray.get_runtime_context().get_node_id())
        sizes = [math.floor(node["cpus"]) for node in view_of(self._settings.ray_address)["nodes"] if node["alive"]]
        self.cpus, largest = max(1, sum(sizes)), max(1, *sizes)
        self.task_cpus = min(self._settings.ray_task_cpus, float(largest))  # more than a node has would wait for ever

    async def view(self) -> dict[str, Any]:
        """Return what the cluster is made of now: nodes with their resources, and what of these is free.

        Raises:
            Unavailable: Ray does not answer.
        """
        if not await self.reachable():
            raise Unavailable(f"Ray does not answer at {self._settings.ray_address}")
        try:
            return await asyncio.to_thread(view_of, self._settings.ray_address)
        except (RayError, ConnectionError, RuntimeError) as error:
            raise Unavailable(f"Ray does not tell its nodes: {str(error)[:200]}") from error

    async def warm(self) -> None:
        """Have as many worker processes as there are CPUs import our code, so that the first job need not wait.

        Raises:
            Unavailable: a worker died, or the cluster died and its successor does not know our tasks.
        """
        try:
            async with asyncio.timeout(_WARM_UP_SECONDS):
                await asyncio.gather(
                    *(self.run(heddle_warm, _WARM_SECONDS, silent, cpus=1.0) for _ in range(self.cpus))
                )
        except TimeoutError as error:
            raise WorkerLost(f"no worker was ready within {_WARM_UP_SECONDS:.0f} s") from error

    async def run(
        self,
        task: Task[Request, Result],
        request: Request,
        report: Report,
        *,
        cpus: float | None = None,
        gpus: float = 0.0,
        told: Callable[[Any], Awaitable[None]] | None = None,
    ) -> Result:
        """Run a task to its end; cancelling this cancels the task.

        Args:
            task: a generator function of `tasks`; its name becomes the process title.
            request: its argument.
            report: told of its progress.
            cpus: CPUs it occupies; `task_cpus` where not given.
            gpus: share of a GPU it needs.
            told: is given what the task hands over before its end, one message after the other.

        Raises:
            HeddleError: what the task raised.
            WorkerLost: its process or node died.
        """
        name = task.__name__
        submitted = asyncio.ensure_future(
            asyncio.to_thread(self._submit, name, task, request, self.task_cpus if cpus is None else cpus, gpus)
        )
        try:
            async for reference in await asyncio.shield(submitted):
                message = await reference
                if isinstance(message, Progress):
                    report(message.stage, message.share)
                elif isinstance(message, Told):
                    if told is not None:
                        await self._hand_over(told, message.message, name, submitted)
                elif isinstance(message, Failed):
                    raise message.error
                else:
                    return cast(Result, message)
        except (NodeDiedError, LocalRayletDiedError) as error:
            raise NodeLost(f"the node that ran {name} was lost") from error
        except (RayError, ConnectionError) as error:
            raise WorkerLost(f"the worker of {name} was lost ({type(error).__name__})") from error
        except asyncio.CancelledError:
            self._cancel_aside(name, submitted)
            raise
        raise WorkerLost(f"the task {name} ended without a result")

    async def _hand_over(
        self,
        told: Callable[[Any], Awaitable[None]],
        message: Any,
        name: str,
        submitted: asyncio.Future[Any],
    ) -> None:
        try:
            await told(message)
        except Exception:  # a store is away, or the lease lost: nobody would hear the task any more
            self._cancel_aside(name, submitted)
            raise

    def _cancel_aside(self, name: str, submitted: asyncio.Future[Any]) -> None:
        # aside: the tenant who cancelled shall not wait until the task has noticed
        cancelling = asyncio.create_task(self._cancel(submitted), name=f"cancel {name}")
        self._cancelling.add(cancelling)
        cancelling.add_done_callback(self._cancelling.discard)

    def _submit(self, name: str, task: Any, request: Any, cpus: float, gpus: float) -> Any:
        if name not in self._remote:
            self._remote[name] = ray.remote(task)
        # no retries of Ray's own: a lost worker costs a lease, and leases are counted and visible
        options = self._remote[name].options(
            name=name,
            num_returns="streaming",
            max_retries=0,
            num_cpus=cpus,
            num_gpus=gpus,
            memory=self._settings.ray_task_memory_bytes or None,
        )
        return options.remote(request)

    async def _cancel(self, submitted: asyncio.Future[Any]) -> None:
        for force in (False, True):
            try:
                async with asyncio.timeout(_CANCEL_GRACE_SECONDS):
                    generator = await asyncio.shield(submitted)
                    await asyncio.to_thread(ray.cancel, generator, force=force)
                    async for reference in generator:
                        await reference
                    return
            except TimeoutError:
                log.warning("cancel_not_heeded", forced=force)
            except (RayError, ConnectionError):
                return  # what a cancelled task ends with

    async def close(self) -> None:
        """Leave the cluster; tasks of ours end."""
        for cancelling in self._cancelling:
            cancelling.cancel()  # Ray ends what a driver that leaves has left behind
        await asyncio.to_thread(ray.shutdown)
