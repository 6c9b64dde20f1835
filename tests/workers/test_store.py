"""Storing: content-addressed objects heal, all others stay as they were first written."""

from heddle_infra.memory import MemoryObjectStore
from heddle_platform.digest import sha256_hex
from heddle_workers.store import base_source, presign, put_addressed, put_first, set_source


async def test_what_was_written_first_stays_and_its_digest_is_told() -> None:
    objects = MemoryObjectStore()
    assert await put_first(objects, "a/card.html", b"one") == sha256_hex(b"one")
    assert await put_first(objects, "a/card.html", b"two") == sha256_hex(b"one")
    assert objects.get("a/card.html") == b"one"


async def test_an_addressed_object_is_written_once_and_healed_if_damaged() -> None:
    objects = MemoryObjectStore()
    assert await put_addressed(objects, "a/adapter.npz", b"whole") == sha256_hex(b"whole")
    objects.put("a/adapter.npz", b"who")
    assert await put_addressed(objects, "a/adapter.npz", b"whole") == sha256_hex(b"whole")
    assert objects.get("a/adapter.npz") == b"whole"


async def test_addresses_read_their_objects_and_are_named_after_them() -> None:
    objects = MemoryObjectStore()
    objects.put("tenants/ten_1/datasets/d1/manifest.json", b"manifest")
    objects.put("tenants/ten_1/datasets/d1/images.zip", b"zip")
    source = await set_source(objects, "ten_1", "d1")
    assert objects.follow_get(source.manifest_url) == b"manifest"
    assert objects.follow_get(source.images_url) == b"zip"
    base = await base_source(objects, "default", "b1")
    assert set(base.urls) == {"manifest.json", "weights.safetensors", "encoder.onnx", "decoder.onnx"}
    assert len(set(await presign(objects, base.urls))) == 4
