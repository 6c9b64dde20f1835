"""The edge beside a naive service, in the same run: FastAPI, one ONNX session per tenant, no batching, no cache.

    python -m tests.bench.edge_naive [--tenants 100] [--seconds 8]

The naive service is what one would write in an afternoon: each tenant's one-file editor in a session of its own, an
`UploadFile` and a number for what to set, Pillow in and out. It checks no key, signs nothing, bounds nothing and always
draws the whole picture. Once with ONNX Runtime's own settings and once with one thread and no spinning. Both services
get the same uncached 64x64 PNGs from a second process that keeps eight requests under way.

Bars: edits per second and core at least 2 times the naive service's, memory with 100 tenants at most a tenth.
"""

import argparse
import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import psutil

from tests.bench.edge_latency import KEY_FILE, free_port
from tests.bench.edge_load import unlike
from tests.bench.edge_stage import Stage, spawned, stage

_AT_ONCE = 8


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

    uvicorn.run(app, port=port, access_log=False, log_config=None)


def send(plan: dict[str, Any]) -> dict[str, float]:
    """Keep some requests under way for so many seconds, and count the answers."""
    directory = Path(plan["directory"])
    images = [path.read_bytes() for path in sorted((directory / "images").iterdir())]
    ends = time.perf_counter() + plan["seconds"]
    headers = {"Authorization": f"Bearer {(directory / KEY_FILE).read_text()}"}
    salt = time.time_ns()

    def run(worker: int) -> list[float]:
        taken: list[float] = []
        with httpx.Client(headers=headers, timeout=30) as http:
            while (began := time.perf_counter()) < ends:
                number = worker + _AT_ONCE * len(taken)
                data = unlike(images[number % len(images)], salt + number)
                fields = {
                    **plan["fields"],
                    **({"tenant": f"tenant-{number % plan['tenants']}"} if plan["naive"] else {}),
                }
                answer = http.post(plan["url"], files={"image": ("a.png", data)}, data=fields)
                answer.raise_for_status()
                taken.append(1000 * (time.perf_counter() - began))
        return taken

    with ThreadPoolExecutor(plan["at_once"]) as pool:
        taken = [one for done in pool.map(run, range(plan["at_once"])) for one in done]
    return {"answers": len(taken), "p50": float(np.median(taken))}


def measure(name: str, process: psutil.Process, plan: dict[str, Any]) -> tuple[float, float]:
    """Load a service, print a line, and return edits per second and core, and MB."""
    import subprocess

    def load(seconds: float, at_once: int) -> dict[str, float]:
        asked = json.dumps({**plan, "seconds": seconds, "at_once": at_once})
        command = [sys.executable, "-m", "tests.bench.edge_naive", "--send", asked]
        found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return found

    load(1.0, _AT_ONCE)
    alone = load(2.0, 1)["p50"]
    before, started = sum(process.cpu_times()[:2]), time.perf_counter()
    done = load(plan["seconds"], _AT_ONCE)
    cpu, wall = sum(process.cpu_times()[:2]) - before, time.perf_counter() - started
    per_core = done["answers"] / cpu
    resident = process.memory_info().rss / 1024**2
    print(f"{name:<34}{done['answers'] / wall:>9.0f}{per_core:>12.0f}{alone:>10.2f}{resident:>9.0f}")
    return per_core, resident


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
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--serve", nargs=4)
    parser.add_argument("--send")
    arguments = parser.parse_args()
    if arguments.serve:
        directory, port, tenants, tuned = arguments.serve
        serve(Path(directory), int(port), int(tenants), tuned == "tuned")
        return
    if arguments.send:
        print(json.dumps(send(json.loads(arguments.send))))
        return
    with stage(64) as made:
        write_editor(made)
        images = made.directory / "images"
        images.mkdir(exist_ok=True)
        for place, data in enumerate(made.images[:64]):
            (images / f"{place:03d}.png").write_bytes(data)
        shared = {"directory": str(made.directory), "seconds": arguments.seconds, "tenants": arguments.tenants}
        print(f"{'service':<34}{'edits/s':>9}{'per core/s':>12}{'p50 ms, 1':>10}{'MB':>9}")
        naive = []
        for how in ("as installed", "tuned"):
            port = free_port()
            command = [sys.executable, "-m", "tests.bench.edge_naive", "--serve", str(made.directory), str(port)]
            with spawned([*command, str(arguments.tenants), how.replace(" ", "-")]) as process:
                _wait(port)
                plan = {**shared, "url": f"http://127.0.0.1:{port}/edit", "naive": True, "fields": {"level": 1}}
                name = f"naive, {arguments.tenants} sessions, {how}"
                naive.append(measure(name, psutil.Process(process.pid), plan))
        edit = {"edit": json.dumps({"adapter": "avatars", "set": {"glasses": "round"}})}
        with made.edge(tenants=arguments.tenants) as edge:
            plan = {**shared, "url": f"{edge.url}/v1/edits", "naive": False, "fields": edit}
            ours = measure(f"edge, {arguments.tenants} tenants", psutil.Process(edge.process.pid), plan)
    for how, (per_core, resident) in zip(("as installed", "tuned"), naive, strict=True):
        fast, small = ours[0] / per_core, resident / ours[1]
        print(
            f"against naive {how}: {fast:.1f} times the edits per core (bar 2: {'met' if fast >= 2 else 'MISSED'}), "
            f"{small:.1f} times less memory (bar 10: {'met' if small >= 10 else 'MISSED'})"
        )


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
