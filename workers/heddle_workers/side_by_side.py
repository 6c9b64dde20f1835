"""Pretraining over several workers by Ray Train: torch's process group, one mailbox for what the first worker says.

Ray's own retries are off: a lost worker ends the group, the job's next attempt goes on from the last checkpoint, and
attempts are counted where people see them.
"""

import contextlib
import tempfile
import threading
from collections import deque
from typing import Any, Final

import ray
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from heddle_platform.base.config import Recipe
from heddle_platform.errors import HeddleError, Unavailable
from heddle_workers.pretrained import Pretrained, PretrainRequest
from heddle_workers.progress import Failed, Progress, Report, Stopped, Tell, Told

_POLL_SECONDS: Final = 0.2
_LEAVE_SECONDS: Final = 30.0


class Mailbox:
    """What the first worker says, in order; and, back, that it shall stop. A Ray actor."""

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self._stopped = False

    def put(self, message: Any) -> bool:
        """Take a message; return whether the training shall stop."""
        self._messages.append(message)
        return self._stopped

    def take(self) -> list[Any]:
        """Hand over all messages since the last time."""
        taken = list(self._messages)
        self._messages.clear()
        return taken

    def stop(self) -> None:
        """Have the next message answered with a stop."""
        self._stopped = True


def pretrain_side_by_side(
    recipe: Recipe, request: PretrainRequest, checkpoint: bytes | None, report: Report, tell: Tell
) -> Pretrained:
    """Train over `request.workers` workers, each on its share of every batch.

    Raises:
        HeddleError: what the first worker raised.
        Unavailable: code `worker_lost`: a worker died, or Ray Train failed.
    """
    mailbox: Any = ray.remote(num_cpus=0)(Mailbox).remote()
    over = threading.Event()
    broke: list[Exception] = []
    config = {"recipe": recipe, "checkpoint": checkpoint, "mailbox": mailbox}

    def fit() -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="heddle-ray-train-") as folder:
                _trainer(request, config, folder).fit()
        except Exception as error:  # what a thread raises is nobody's otherwise
            broke.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=fit, name="ray train", daemon=True)
    thread.start()
    result: Pretrained | None = None
    last = Progress("starting", 0.0)
    try:
        while True:
            ended = over.wait(_POLL_SECONDS)
            for message in ray.get(mailbox.take.remote()):
                last = message if isinstance(message, Progress) else last
                result = _pass_on(message, report, tell) or result
            report(last.stage, last.share)  # again and again: it is refused once the job is cancelled
            if ended:
                break
    except BaseException:
        with contextlib.suppress(RayError):
            ray.get(mailbox.stop.remote())
        over.wait(_LEAVE_SECONDS)
        raise
    finally:
        ray.kill(mailbox)
    if result is None:
        why = str(broke[0])[:300] if broke else "it ended without a result"
        raise Unavailable(f"Ray Train failed: {why}", code="worker_lost")
    return result


def _trainer(request: PretrainRequest, config: dict[str, Any], folder: str) -> TorchTrainer:
    # a bundle must hold something: a byte of memory where no CPU shall be reserved
    resources = {"CPU": request.cpus} if request.cpus else {"memory": 1.0}
    return TorchTrainer(
        _work,
        train_loop_config=config,
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=request.workers, resources_per_worker=resources),
        run_config=RunConfig(storage_path=folder, failure_config=FailureConfig(max_failures=0)),
    )


def _pass_on(message: Any, report: Report, tell: Tell) -> Pretrained | None:
    match message:
        case Progress(stage, share):
            report(stage, share)
        case Told(told):
            tell(told)
        case Failed(error):
            raise error
        case Pretrained():
            return message
    return None


def _work(config: dict[str, Any]) -> None:
    """Run in each worker."""
    from heddle_platform.base.peers import Group
    from heddle_workers.pretrain import pretrain_as

    peers, mailbox = Group(), config["mailbox"]

    def say(message: Any) -> None:
        if ray.get(mailbox.put.remote(message)):
            raise Stopped

    def report(stage: str, share: float) -> None:
        say(Progress(stage, share))

    def tell(message: Any) -> None:
        say(Told(message))

    try:
        trained = pretrain_as(config["recipe"], peers, config["checkpoint"], report, tell)
    except Stopped:
        raise RuntimeError("the training was stopped") from None  # ends the group
    except HeddleError as error:
        if peers.rank == 0:
            say(Failed(error))
        raise
    if trained is not None:
        say(trained)
