"""The wire: a tenant driven by plain HTTP, independent of our own client, so that the contract is what is tested."""

import csv
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEADLINE_SECONDS = 120.0
DEMO_FACTORS = ("skin", "hair", "hair_color", "mouth", "glasses", "background")


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class LabelledImages:
    """Images as PNG bytes, and per image the level of each factor by name."""

    images: tuple[bytes, ...]
    labels: tuple[Mapping[str, str], ...]
    factor_set: Mapping[str, Any]

    def archive(self, rows: Sequence[int], **changes: bytes) -> bytes:
        """Zip the rows' images with their labels.csv; `changes` adds or replaces files by name (`__` for a dot)."""
        names = [factor["name"] for factor in self.factor_set["factors"]]
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["file", *names])
        files: dict[str, bytes] = {}
        for row in rows:
            files[f"{row:05d}.png"] = self.images[row]
            writer.writerow([f"{row:05d}.png", *(self.labels[row][name] for name in names)])
        files["labels.csv"] = table.getvalue().encode()
        files |= {name.replace("__", "."): data for name, data in changes.items()}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return buffer.getvalue()


class Wire:
    """One tenant over HTTP. Every answer that is not a success raises with its problem document."""

    def __init__(self, control_url: str, edge_url: str, tenant: Mapping[str, Any]) -> None:
        self.id = str(tenant["id"])
        headers = {"Authorization": f"Bearer {tenant['api_key']}"}
        self.control = httpx.Client(base_url=control_url, headers=headers, timeout=30)
        self.edge = httpx.Client(base_url=edge_url, headers=headers, timeout=30)

    def close(self) -> None:
        self.control.close()
        self.edge.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.control.request(method, path, **arguments)
        if not answer.is_success:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def upload(self, data: bytes, filename: str = "set.zip") -> str:
        digest = hashlib.sha256(data).hexdigest()
        begun = self.call("POST", "/v1/uploads", json={"filename": filename, "bytes": len(data), "sha256": digest})
        share = -(-len(data) // len(begun["parts"]))
        parts = []
        for part in begun["parts"]:
            chunk = data[(part["number"] - 1) * share : part["number"] * share]
            sent = httpx.put(part["url"], content=chunk, headers=part["headers"], timeout=60)
            sent.raise_for_status()
            parts.append({"number": part["number"], "etag": sent.headers["etag"]})
        self.call("POST", f"/v1/uploads/{begun['id']}/complete", json={"parts": parts})
        return str(begun["id"])

    def dataset(self, archive: bytes, factor_set: Mapping[str, Any], name: str = "set") -> dict[str, Any]:
        """Register the factor set, upload, and return the labelled set once it is ready or rejected."""
        self.call("POST", "/v1/factor_sets", json=factor_set)
        body = {"name": name, "factor_set": factor_set["name"], "upload": self.upload(archive)}
        made = self.call("POST", "/v1/datasets", json=body)
        return self.poll(f"/v1/datasets/{made['id']}", lambda found: found["status"] != "validating")

    def queue_fit(self, dataset: str, factor_set: str, adapter: str = "avatars", **more: Any) -> str:
        body = {"type": "fit", "adapter": adapter, "factor_set": factor_set, "dataset": dataset, "base": "default"}
        body |= more
        return str(self.call("POST", "/v1/jobs", json=body)["id"])

    def wait(self, job_id: str) -> dict[str, Any]:
        final = {"succeeded", "awaiting_approval", "failed", "cancelled"}
        return self.poll(f"/v1/jobs/{job_id}", lambda found: found["status"] in final)

    def poll(self, path: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            found: dict[str, Any] = self.call("GET", path)
            if done(found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{path} did not finish within {DEADLINE_SECONDS} s; last seen: {found}")

    def approve(self, adapter: str, version: int) -> None:
        path = f"/v1/adapters/{adapter}/versions/{version}/approvals"
        self.call("POST", path, json={"decision": "approve", "comment": "looks right"})

    def edit(self, image: bytes, edit: Mapping[str, Any]) -> httpx.Response:
        return self.edge.post(
            "/v1/edits", files={"image": ("x.png", image, "image/png")}, data={"edit": json.dumps(edit)}
        )

    def edit_when_served(self, image: bytes, edit: Mapping[str, Any]) -> httpx.Response:
        """Edit as soon as the edge knows the adapter; a moved alias may take a second to arrive."""
        end = time.monotonic() + 10
        answer = self.edit(image, edit)
        while answer.status_code in (401, 404) and time.monotonic() < end:
            time.sleep(0.1)
            answer = self.edit(image, edit)
        return answer
