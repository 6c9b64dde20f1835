"""Mixed load for minutes or an hour: uncached edits, drags of held images, hits, grids, alias flips, Redis restarts.

    python -m tests.bench.edge_soak --minutes 5|60 [--rate 40]

A line a minute tells the edge's memory as it goes. Bars: memory flat (the last fifth at most 5 % and 20 MB above the
second), and no error but the announced ones: an image sent ahead is gone after a restart of the cache (404
`unknown_image`, 503 `image_not_kept`).
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from typing import Any

import httpx
import numpy as np

from tests.bench.edge_flip import announce
from tests.bench.edge_request import unlike
from tests.bench.edge_stage import Edge, Stage, stage

_FLIP_SECONDS = 7.0
_RESTART_SECONDS = 31.0
_ANNOUNCED = frozenset({(404, "unknown_image"), (503, "image_not_kept"), (503, "cache_unavailable")})


def _expected(status: int, code: str) -> bool:
    return status in (200, 201) or (status, code) in _ANNOUNCED


class Mix:
    """Sends one request after another of a mix, and counts what came back."""

    def __init__(self, made: Stage, edge: Edge) -> None:
        self._images = made.images
        self._http = httpx.AsyncClient(base_url=edge.url, headers={"Authorization": f"Bearer {made.key}"}, timeout=30)
        self.seen: Counter[tuple[str, int, str]] = Counter()
        self.milliseconds: dict[str, list[float]] = {}
        self._image_id = ""

    @property
    def sent(self) -> int:
        """How many requests are over."""
        return sum(self.seen.values())

    @property
    def unannounced(self) -> int:
        """How many failed as nothing announces it."""
        return sum(count for (_, status, code), count in self.seen.items() if not _expected(status, code))

    @property
    def unannounced_kinds(self) -> str:
        """What failed as nothing announces it, in a few words."""
        kinds: Counter[str] = Counter()
        for (_, status, code), count in self.seen.items():
            if not _expected(status, code):
                kinds[f"{status} {code}"] += count
        return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())

    async def send(self, number: int) -> None:
        """Send request `number` of the mix; nothing it raises is lost."""
        what = ("miss", "drag", "hit", "drag", "miss", "drag", "hit", "grid")[number % 8]
        started = time.perf_counter()
        try:
            answer = await self._ask(what, number)
            code = "" if answer.status_code < 400 else str(answer.json().get("code"))
            self.seen[what, answer.status_code, code] += 1
        except httpx.HTTPError as error:
            self.seen[what, 0, type(error).__name__] += 1
        self.milliseconds.setdefault(what, []).append(1000 * (time.perf_counter() - started))

    async def _ask(self, what: str, number: int) -> httpx.Response:
        image = self._images[number % len(self._images)]
        if what == "drag":
            if not self._image_id or number % 400 == 1:
                sent = await self._http.post("/v1/images", files={"image": ("a.png", image)})
                if sent.status_code != 201:
                    return sent
                self._image_id = sent.json()["image_id"]
            levels = ("round", "none", "square")
            answer = await self._edit({"image_id": (None, self._image_id)}, levels[number % 3], number)
            if answer.status_code == 404:
                self._image_id = ""
            return answer
        if what == "grid":
            grid = json.dumps({"adapter": "avatars", "factor": "glasses"})
            return await self._http.post("/v1/edits/grid", files={"image": ("a.png", image)}, data={"grid": grid})
        data = image if what == "hit" else unlike(image, time.time_ns())
        return await self._edit({"image": ("a.png", data)}, "none", 0)

    async def _edit(self, image: dict[str, Any], level: str, number: int) -> httpx.Response:
        edit = {"adapter": "avatars", "set": {"glasses": level if level != "square" else "none"}}
        if number:
            edit["detail"] = "decode" if number % 2 else "preserve"
        return await self._http.post("/v1/edits", files={**image, "edit": (None, json.dumps(edit))})

    async def close(self) -> None:
        """Release connections."""
        await self._http.aclose()


async def soak(made: Stage, edge: Edge, minutes: float, rate: float) -> tuple[Mix, list[float]]:
    """Run the mix; return it, and the edge's memory in MB every second."""
    mix = Mix(made, edge)
    started = time.monotonic()
    ends, flip_at, restart_at, memory_at = started + 60 * minutes, started, started + _RESTART_SECONDS, started
    memory: list[float] = []
    print(f"{'minute':>6}{'MB':>8}{'requests':>10}{'errors':>8}{'edge cpu':>10}", flush=True)
    tasks: set[asyncio.Task[None]] = set()
    number = flips = 0
    while (now := time.monotonic()) < ends:
        if now >= flip_at:
            flip_at, flips = now + _FLIP_SECONDS, flips + 1
            made.point_at(1 + flips % 2)
            if flips % 2:  # every other move is found by polling alone
                await asyncio.to_thread(_quietly, made)
        if now >= restart_at:
            restart_at = now + _RESTART_SECONDS
            await asyncio.to_thread(made.restart_redis)
        if now >= memory_at:
            memory_at = now + 1.0
            memory.append(edge.resident_mb())
            if len(memory) % 60 == 0:
                print(
                    f"{len(memory) // 60:>6}{np.median(memory[-60:]):>8.0f}{mix.sent:>10}{mix.unannounced:>8}"
                    f"{edge.cpu_seconds():>8.0f} s  {mix.unannounced_kinds}",
                    flush=True,
                )
        task = asyncio.create_task(mix.send(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
    await asyncio.gather(*tasks)
    await mix.close()
    return mix, memory


def _quietly(made: Stage) -> None:
    from heddle_platform.errors import Unavailable

    try:
        announce(made)
    except Unavailable:
        return  # the cache is restarting; polling finds it


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=40.0)
    arguments = parser.parse_args()
    with stage(200) as made, made.edge() as edge:
        mix, memory = asyncio.run(soak(made, edge, arguments.minutes, arguments.rate))
    print(f"{'request':<8}{'count':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for what, taken in sorted(mix.milliseconds.items()):
        print(f"{what:<8}{len(taken):>8}{np.median(taken):>9.2f}{np.quantile(taken, 0.99):>9.2f}")
    for (what, status, code), count in sorted(mix.seen.items()):
        if status not in (200, 201):
            known = _expected(status, code)
            print(f"{what:<8}{count:>8}  {status} {code}{'' if known else '   NOT ANNOUNCED'}")
    fifth = max(1, len(memory) // 5)
    early, late = float(np.median(memory[fifth : 2 * fifth] or memory)), float(np.median(memory[-fifth:]))
    flat = late <= 1.05 * early + 20
    print(f"memory {early:.0f} MB in the second fifth, {late:.0f} MB in the last: {'flat' if flat else 'GROWING'}")
    met = flat and not mix.unannounced
    print(f"errors not announced: {mix.unannounced} (bar 0), memory flat: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
