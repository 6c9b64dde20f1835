"""The hostile corpus through the real edge, in a process of its own whose memory and time are bounded."""

import asyncio
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.api.edge.hostile_corpus import corpus

MEMORY_GROWTH_MB = 200  # over what the warm edge holds; the largest image taken here needs about 12 MB
SECONDS_EACH = 20.0


def test_the_corpus_is_large_and_every_file_has_a_name() -> None:
    files = corpus()
    assert len(files) >= 200
    assert len({one.name for one in files}) == len(files)


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.api.edge.test_hostile_images"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_each_gets_a_right_answer_or_a_clear_refusal(answers: dict[str, Any]) -> None:
    wrong = []
    for one in corpus():
        answer = answers["files"][one.name]
        if answer["status"] == 200:
            fits = one.verdict != "refused" and (one.size is None or tuple(answer["size"]) == one.size)
        else:
            fits = one.verdict != "ok" and answer["status"] in (413, 422) and answer["code"] and answer["detail"]
        if not fits:
            wrong.append((one.name, one.verdict, answer))
    assert wrong == []


def test_memory_and_time_stay_bounded(answers: dict[str, Any]) -> None:
    assert answers["growth_mb"] < MEMORY_GROWTH_MB
    slowest = max(answers["files"].items(), key=lambda item: float(item[1]["seconds"]))
    assert slowest[1]["seconds"] < SECONDS_EACH, slowest


async def _run() -> dict[str, Any]:
    from heddle_platform import pixels
    from heddle_platform.base.bundle import default_bundle_path, load_bundle
    from heddle_platform.base.runtime import BaseRuntime
    from tests.api.edge.edge_world import fit_demo, make_world, running_edge

    bundle = load_bundle(default_bundle_path())
    world = make_world(bundle, fit_demo(BaseRuntime.from_bundle(bundle)))
    files: dict[str, Any] = {}
    made = corpus()
    async with running_edge(world) as edge:
        for warm in world.fitted.images[:3]:
            await edge.edit(warm, set={"glasses": "none"})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for one in made:
            started = time.perf_counter()
            answer = await edge.edit(one.data, set={"glasses": "round"}, detail="preserve")
            said: dict[str, Any] = {"status": answer.status_code, "seconds": time.perf_counter() - started}
            if answer.status_code == 200:
                height, width, _ = pixels.decode(answer.content, max_bytes=10**8, max_pixels=10**8).shape
                said["size"] = (width, height)
            else:
                said |= {"code": answer.json()["code"], "detail": answer.json()["detail"]}
            files[one.name] = said
        alive = await edge.edit(world.fitted.images[4], set={"glasses": "none"})
        alive.raise_for_status()
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"files": files, "growth_mb": growth}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    # whatever asks for more than this dies here instead of on the machine: an allocation fails as MemoryError
    resource.setrlimit(resource.RLIMIT_AS, (6 * 1024**3, 6 * 1024**3))
    print(json.dumps(asyncio.run(_run())))  # noqa: T201
