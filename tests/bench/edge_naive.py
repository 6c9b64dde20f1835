"""The edge beside a naive service, in the same run: FastAPI, one ONNX session per tenant, no batching, no cache.

    python -m tests.bench.edge_naive [--tenants 100] [--rounds 4] [--seconds 3]

The naive service is what one would write in an afternoon: each tenant's one-file editor in a session of its own, an
`UploadFile` and a number for what to set, Pillow in and out, uvicorn with uvloop and httptools. It checks no key, signs
nothing, logs nothing, bounds nothing and always draws the whole picture. Once with ONNX Runtime's own settings and once
with one thread and no spinning.

All three stand at once and take turns under the same load: uncached 64x64 PNGs of eight different edits from a second
process that keeps eight requests under way. What is told is the median over the rounds, so a neighbour on the machine
weighs on all alike. Then the edge is bound to one core and asked for what is cached, from the other core.

Bars: edits per second of processor at least 2 times the naive service's, memory with 100 tenants at most a tenth;
cached edits at least 2,000 a second on one core, p50 at most 2 ms; uncached p50 at most 6 ms.
"""

import argparse
import io
import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import psutil

from tests.bench.edge_client import Plan
from tests.bench.edge_latency import free_port
from tests.bench.edge_stage import Stage, spawned, stage

_AT_ONCE = 8
_LEVELS = ("none", "round", "square")
_SKINS = ("umber", "ivory", "sand")


def serve(directory: Path, port: int, tenants: int, tuned: bool) -> None:
    """Run the naive service."""
    import onnxruntime
    import uvicorn
    from fastapi import FastAPI, File, Form, Response
    from PIL import Image

    options = onnxruntime.SessionOptions()
    if tuned:
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graph = str(directory / "editor.onnx")
    sessions = {f"tenant-{number}": onnxruntime.InferenceSession(graph, options) for number in range(tenants)}
    columns = next(iter(sessions.values())).get_inputs()[1].shape[1]
    app = FastAPI()

    @app.post("/edit")
    def edit(
        tenant: Annotated[str, Form()], level: Annotated[int, Form()], image: Annotated[bytes, File()]
    ) -> Response:
        picture = Image.open(io.BytesIO(image)).convert("RGB").resize((64, 64))
        vector = np.zeros((1, columns), np.float32)
        vector[0, :2] = level, 1.0
        edited = sessions[tenant].run(["edited"], {"image": np.asarray(picture)[None], "edit": vector})[0][0]
        out = io.BytesIO()
        Image.fromarray(edited).save(out, "PNG")
        return Response(out.getvalue(), media_type="image/png")

    @app.get("/healthz")
    def healthy() -> dict[str, int]:
        return {"tenants": len(sessions)}

    uvicorn.run(app, port=port, access_log=False, log_config=None, loop="uvloop", http="httptools")


@dataclass(eq=False)
class Contender:
    """A service under load, and what each round gave: answers per second of its processor time."""

    name: str
    processes: list[psutil.Process]
    plan: Plan
    per_core: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Load it, and ask it one thing after another."""
        before = self._cpu_seconds()
        told = replace(self.plan, seconds=seconds, at_once=_AT_ONCE).run()
        self.per_core.append(told.answers / (self._cpu_seconds() - before))
        self.rates.append(told.answers / told.seconds)
        self.alone.append(replace(self.plan, seconds=1.0, at_once=1).run().p50)

    @property
    def resident(self) -> float:
        """Megabytes of the service itself."""
        return float(self.processes[0].memory_info().rss) / 1024**2

    def tell(self) -> None:
        """Print a line."""
        figures = [float(np.median(found)) for found in (self.rates, self.per_core, self.alone)]
        print(f"{self.name:<34}{figures[0]:>9.0f}{figures[1]:>12.0f}{figures[2]:>10.2f}{self.resident:>9.0f}")

    def _cpu_seconds(self) -> float:
        return float(sum(sum(process.cpu_times()[:2]) for process in self.processes))


def hits(process: psutil.Process, plan: Plan, seconds: float) -> None:
    """Bind the edge to one core and ask it for what is cached."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("cached edits: not measured, the load needs a core of its own")
        return
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {cores[0]})
    cached = replace(plan, fresh=False, core=cores[1])
    replace(cached, seconds=2.0, at_once=_AT_ONCE).run()
    before = sum(process.cpu_times()[:2])
    full = replace(cached, seconds=seconds, at_once=_AT_ONCE).run()
    cpu = sum(process.cpu_times()[:2]) - before
    alone = replace(cached, seconds=seconds, at_once=1).run()
    rate, each = full.answers / full.seconds, full.answers / cpu
    # by the edge's own processor time: where others use the core as well, the rate says how much they left
    print(f"cached edits on one core: {rate:.0f}/s, {each:.0f} per processor second (bar 2,000: {_met(each >= 2_000)})")
    print(f"cached alone: p50 {alone.p50:.2f} ms (bar 2: {_met(alone.p50 <= 2)}), p99 {alone.p99:.2f} ms")


def write_editor(made: Stage) -> None:
    """Put together what a tenant downloads."""
    from heddle_adapters import artifact
    from heddle_adapters.editor import Frame, to_editor
    from heddle_platform.base.bundle import DECODER, ENCODER, default_bundle_path, load_bundle
    from heddle_platform.base.runtime import BaseRuntime

    bundle = load_bundle(default_bundle_path())
    runtime = BaseRuntime.from_bundle(bundle)
    adapter = artifact.unpack((made.directory / "adapter.npz").read_bytes())
    frame = Frame(runtime.image_size, runtime.mean_L, runtime.std_L)
    editor = to_editor(adapter, frame, bundle.files[ENCODER], bundle.files[DECODER])
    (made.directory / "editor.onnx").write_bytes(editor)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--serve", nargs=4)
    arguments = parser.parse_args()
    if arguments.serve:
        directory, port, tenants, tuned = arguments.serve
        serve(Path(directory), int(port), int(tenants), tuned == "tuned")
        return
    with ExitStack() as stack:
        made = stack.enter_context(stage(64))
        write_editor(made)
        made.write_images()
        naive = [_naive(stack, made, how, arguments.tenants) for how in ("as-installed", "tuned")]
        edge = stack.enter_context(made.edge(tenants=arguments.tenants))
        process = psutil.Process(edge.process.pid)
        edits = [{"set": {"glasses": glasses, "skin": skin}} for glasses in _LEVELS for skin in _SKINS][:_AT_ONCE]
        turns = {"edit": [json.dumps({"adapter": "avatars", **edit}) for edit in edits]}
        plan = Plan(str(made.directory), edge.port, "/v1/edits", {}, 1.0, _AT_ONCE, turns=turns)
        name = f"edge, {arguments.tenants} tenants, and its cache"
        ours = Contender(name, [process, psutil.Process(made.redis.pid)], plan)
        for one in (*naive, ours):
            replace(one.plan, seconds=1.0).run()
        for _ in range(arguments.rounds):
            for one in (*naive, ours):
                one.round(arguments.seconds)
        print(f"{'service':<34}{'edits/s':>9}{'per core/s':>12}{'p50 ms, 1':>10}{'MB':>9}")
        for one in (*naive, ours):
            one.tell()
        for one in naive:
            _compare(one, ours)
        alone = float(np.median(ours.alone))
        print(f"uncached alone: p50 {alone:.2f} ms (bar 6: {_met(alone <= 6)})")
        hits(process, plan, arguments.seconds)


def _naive(stack: ExitStack, made: Stage, how: str, tenants: int) -> Contender:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.edge_naive", "--serve", str(made.directory), str(port)]
    process = stack.enter_context(spawned([*command, str(tenants), how]))
    _wait(port)
    turns = {"tenant": [f"tenant-{number}" for number in range(tenants)], "level": ["0", "1", "2"]}
    plan = Plan(str(made.directory), port, "/edit", {}, 1.0, _AT_ONCE, turns=turns)
    return Contender(f"naive, {tenants} sessions, {how}", [psutil.Process(process.pid)], plan)


def _compare(naive: Contender, ours: Contender) -> None:
    # round by round: what weighed on one weighed on the other a few seconds later
    fast = float(np.median(np.array(ours.per_core) / np.array(naive.per_core)))
    small = naive.resident / ours.resident
    print(
        f"against {naive.name}: {fast:.1f} times the edits per second of processor (bar 2: {_met(fast >= 2)}), "
        f"{small:.1f} times less memory (bar 10: {_met(small >= 10)})"
    )


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def _wait(port: int) -> None:
    for _ in range(1_200):
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the naive service did not get ready")


if __name__ == "__main__":
    main()
