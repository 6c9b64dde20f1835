"""HeddleClient: the whole path from a tenant to an edited image; the last steps, edits, are here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx

from heddle_api.client.batching import BatchingCalls
from heddle_api.client.drift_info import DriftInfo
from heddle_api.client.pictures import Picture, picture_bytes
from heddle_api.client.results import Document, EditResult, GridResult, ImageInfo

MediaType = Literal["image/png", "image/jpeg", "image/webp"]


class HeddleClient(BatchingCalls):
    """A client of both planes, for one key; threads may share it.

    Every POST carries an Idempotency-Key of its own, and is sent again after a lost connection, a 429 or a 503
    without doing the work twice.

        with HeddleClient(control_url, edge_url, api_key) as heddle:
            heddle.register_factor_set(document)
            heddle.upload_dataset("spring", Path("spring"), factor_set="avatars")
            job = heddle.wait_for_job(heddle.fit("avatars", factor_set="avatars", dataset="spring").id)
            heddle.approve("avatars", job.result["version"])
            heddle.edit(Path("me.png"), {"adapter": "avatars", "set": {"glasses": "round"}}).save(Path("edited.png"))

    Raises:
        ApiError: from every method, when the platform refuses or fails.
        Unreachable: from every method, when it does not answer.
    """

    def edit(self, image: Picture | str, edit: Mapping[str, Any], *, accept: MediaType = "image/png") -> EditResult:
        """Edit an image.

        Args:
            image: bytes, a file, a uint8 array, a PIL image, or the id that `take_image` gave.
            edit: adapter, set, shift, preserve, detail.
            accept: type of the answer.

        Raises:
            ValueError: a str that is no such id, or an array that is no picture.
        """
        answer = self._send_image("/v1/edits", image, {"edit": json.dumps(dict(edit))}, accept)
        headers = dict(answer.headers)
        return EditResult(
            image=answer.content,
            media_type=headers.get("content-type", accept),
            edit_id=headers.get("x-edit-id", ""),
            adapter_version=headers.get("x-adapter-version", ""),
            cache=headers.get("x-cache", ""),
            extrapolation=_beyond(headers),
            suggestion=json.loads(headers.get("x-suggestion", "null")),
            detail=headers.get("x-detail", ""),
            detail_reason=headers.get("x-detail-reason", ""),
            headers=headers,
        )

    def take_image(self, image: Picture, *, adapter: str | None = None) -> ImageInfo:
        """Encode an image once and keep it at the edge; with an adapter, read its factors as well."""
        fields = {"adapter": adapter} if adapter is not None else {}
        return ImageInfo.model_validate(self._send_image("/v1/images", image, fields, "application/json").json())

    def edit_grid(
        self,
        image: Picture | str,
        adapter: str,
        factor: str,
        *,
        steps: int | None = None,
        preserve: Sequence[str] = (),
        detail: str | None = None,
        accept: MediaType = "image/png",
    ) -> GridResult:
        """Draw one factor at all its levels.

        Args:
            image: as for `edit`.
            adapter: as in an edit.
            factor: the factor that varies.
            steps: number of pictures of a factor without levels.
            preserve, detail: as in an edit.
            accept: type of the answer.
        """
        grid: Document = {"adapter": adapter, "factor": factor}
        given = {"steps": steps, "preserve": list(preserve) or None, "detail": detail}
        grid |= {name: value for name, value in given.items() if value is not None}
        answer = self._send_image("/v1/edits/grid", image, {"grid": json.dumps(grid)}, accept)
        headers = dict(answer.headers)
        values = tuple(json.loads(headers.get("x-grid-values", "[]")))
        media_type = headers.get("content-type", accept)
        return GridResult(answer.content, media_type, headers, values, _beyond(headers))

    def report_feedback(self, edit_id: str, *, kept: bool, final: Mapping[str, Any] | None = None) -> Document:
        """Say what became of an edit; the last report on an edit counts.

        Args:
            edit_id: as `edit` returned it.
            kept: whether the picture was kept.
            final: factor to the value its person ended at.
        """
        body: Document = {"edit_id": edit_id, "kept": kept, "final": dict(final or {})}
        noted: Document = self._control.json("POST", "/v1/feedback", body)
        return noted

    def feedback(self, *, adapter: str | None = None) -> list[Document]:
        """List what became of edits, newest first."""
        return self._all("/v1/feedback", **({"adapter": adapter} if adapter is not None else {}))

    def drift(self, *, adapter: str | None = None, window_hours: int | None = None) -> list[DriftInfo]:
        """Tell whether the images that versions edit still look like those they were fitted on, newest adapter first.

        Args:
            adapter: only this one, by id or name; "avatars@3" or "avatars@candidate" names another version than that
                in production.
            window_hours: how many hours to look back, 1 to 720; None: a week.
        """
        asked = {"adapter": adapter, "window_hours": window_hours}
        found = self._all("/v1/drift", **{name: value for name, value in asked.items() if value is not None})
        return [DriftInfo.model_validate(one) for one in found]

    def _send_image(self, path: str, image: Picture | str, fields: Mapping[str, str], accept: str) -> httpx.Response:
        headers = {"Accept": accept}
        if isinstance(image, str):
            if not image.startswith("img_"):
                raise ValueError(f"{image[:60]!r} is no id of an image; give a file as pathlib.Path({image[:60]!r})")
            parts = {name: (None, text) for name, text in {"image_id": image, **fields}.items()}
            return self._edge.send("POST", path, files=parts, headers=headers)
        files = {"image": ("image", picture_bytes(image), "application/octet-stream")}
        return self._edge.send("POST", path, data=dict(fields), files=files, headers=headers)


def _beyond(headers: Mapping[str, str]) -> float | None:
    return float(headers["x-extrapolation"]) if "x-extrapolation" in headers else None
