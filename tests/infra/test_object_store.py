"""One suite for every object store: in memory and SeaweedFS must not be told apart by who uses the port."""

import pickle
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from heddle_infra.memory import MemoryObjectStore
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed, Unavailable
from heddle_platform.ports import ObjectInfo, ObjectStore, Part
from heddle_platform.settings import ObjectStoreSettings

MIB = 1024**2


@dataclass(frozen=True)
class Kind:
    """A store, and what an HTTP client without credentials does with its presigned URLs."""

    store: ObjectStore
    fetch: Callable[[str], bytes]
    send: Callable[[str, bytes], str]


def over_http(url: str, data: bytes | None = None) -> tuple[bytes, str]:
    request = urllib.request.Request(url, data=data, method="GET" if data is None else "PUT")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.read(), answer.headers["ETag"] or ""
    except urllib.error.HTTPError as error:
        if error.code == 403:
            raise Forbidden(error.read().decode()) from error
        raise


@pytest.fixture(params=["memory", "seaweed"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "memory":
        memory = MemoryObjectStore()
        return Kind(memory, memory.follow_get, memory.follow_put)
    store = S3ObjectStore(request.getfixturevalue("seaweed_settings"))
    return Kind(store, lambda url: over_http(url)[0], lambda url, data: over_http(url, data)[1])


@pytest.fixture
def store(kind: Kind) -> ObjectStore:
    return kind.store


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"contract/{abs(hash(request.node.nodeid))}/"


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4096], ids=["empty", "byte", "mebibyte"])
def test_what_was_put_is_got(store: ObjectStore, prefix: str, data: bytes) -> None:
    version = store.put(prefix + "a", data)
    assert store.get(prefix + "a") == data
    assert store.head(prefix + "a") == ObjectInfo(prefix + "a", len(data), version)


def test_a_missing_key(store: ObjectStore, prefix: str) -> None:
    assert store.head(prefix + "none") is None
    with pytest.raises(NotFound) as caught:
        store.get(prefix + "none")
    assert prefix + "none" in str(caught.value)
    store.delete(prefix + "none")
    with pytest.raises(NotFound):
        store.copy(prefix + "none", prefix + "target")
    assert store.head(prefix + "target") is None


def test_overwriting_changes_the_version(store: ObjectStore, prefix: str) -> None:
    first = store.put(prefix + "a", b"one")
    second = store.put(prefix + "a", b"two")
    assert first != second
    assert store.get(prefix + "a") == b"two"
    assert store.put(prefix + "b", b"one") == first  # versions are of the content


def test_only_the_first_of_two_creations_writes(store: ObjectStore, prefix: str) -> None:
    store.put(prefix + "a", b"one", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put(prefix + "a", b"two", if_absent=True)
    assert store.get(prefix + "a") == b"one"


def test_racing_creations_have_one_winner(store: ObjectStore, prefix: str) -> None:
    def create(number: int) -> bool:
        try:
            store.put(prefix + "raced", str(number).encode(), if_absent=True)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(create, range(4)))
    assert won.count(True) == 1
    assert store.get(prefix + "raced") == str(won.index(True)).encode()


def test_an_update_needs_the_present_version(store: ObjectStore, prefix: str) -> None:
    first = store.put(prefix + "a", b"one")
    second = store.put(prefix + "a", b"two", if_version=first)
    with pytest.raises(PreconditionFailed):
        store.put(prefix + "a", b"three", if_version=first)
    assert store.get(prefix + "a") == b"two"
    assert store.put(prefix + "a", b"three", if_version=second) != second
    with pytest.raises(PreconditionFailed):
        store.put(prefix + "none", b"x", if_version=first)
    assert store.head(prefix + "none") is None


def test_a_prefix_lists_in_key_order(store: ObjectStore, prefix: str) -> None:
    # directory trees would put a/b before a-b
    keys = ["a", "a-b", "a.txt", "a/b", "a/c/d", "a0", "b", "é"]
    for key in reversed(keys):
        store.put(prefix + key, key.encode())
    listed = list(store.list(prefix))
    assert [info.key for info in listed] == [prefix + key for key in keys]
    assert [info.size for info in listed] == [len(key.encode()) for key in keys]
    assert [info.version for info in listed] == [store.put(prefix + "same", key.encode()) for key in keys]
    assert [info.key for info in store.list(prefix + "a/")] == [prefix + "a/b", prefix + "a/c/d"]
    assert [info.key for info in store.list(prefix + "a")] == [prefix + key for key in keys[:6]]
    assert list(store.list(prefix + "none")) == []


def test_a_listing_of_more_than_a_page_is_whole(store: ObjectStore, prefix: str) -> None:
    keys = [f"{prefix}{number:04}" for number in range(1005)]  # servers answer at most 1,000 at once
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.put(key, b""), keys))
    assert [info.key for info in store.list(prefix)] == keys


def test_deleting(store: ObjectStore, prefix: str) -> None:
    store.put(prefix + "a", b"one")
    store.put(prefix + "a/b", b"two")
    store.delete(prefix + "a")
    assert store.head(prefix + "a") is None
    assert store.get(prefix + "a/b") == b"two"
    store.delete(prefix + "a")


def test_copying(store: ObjectStore, prefix: str) -> None:
    store.put(prefix + "a", b"one")
    store.copy(prefix + "a", prefix + "b/c")
    store.put(prefix + "a", b"two")
    assert store.get(prefix + "b/c") == b"one"


def test_a_pickled_store_reads_what_was_written(store: ObjectStore, prefix: str) -> None:
    store.put(prefix + "a", b"one")
    copy: ObjectStore = pickle.loads(pickle.dumps(store))
    assert copy.get(prefix + "a") == b"one"


def test_a_presigned_get_reads_one_object_and_no_other(kind: Kind, prefix: str) -> None:
    kind.store.put(prefix + "own & ü", b"mine")
    kind.store.put(prefix + "other", b"not yours")
    url = kind.store.presign_get(prefix + "own & ü", expires_seconds=60)
    assert kind.fetch(url) == b"mine"
    swapped = kind.store.presign_get(prefix + "other", expires_seconds=60).partition("?")[0]
    with pytest.raises(Forbidden):
        kind.fetch(f"{swapped}?{url.partition('?')[2]}")
    last = "0" if url[-1] != "0" else "1"
    with pytest.raises(Forbidden):
        kind.fetch(url[:-1] + last)


def test_a_presigned_url_expires(kind: Kind, prefix: str) -> None:
    kind.store.put(prefix + "a", b"one")
    url = kind.store.presign_get(prefix + "a", expires_seconds=1)
    assert kind.fetch(url) == b"one"
    time.sleep(2.1)  # signatures count whole seconds
    with pytest.raises(Forbidden):
        kind.fetch(url)


def test_a_presigned_get_cannot_write(kind: Kind, prefix: str) -> None:
    kind.store.put(prefix + "a", b"one")
    url = kind.store.presign_get(prefix + "a", expires_seconds=60)
    with pytest.raises(Forbidden):
        kind.send(url, b"two")
    assert kind.store.get(prefix + "a") == b"one"


def test_parts_become_one_object(kind: Kind, prefix: str) -> None:
    key, chunks = prefix + "large", [b"a" * (5 * MIB), b"b" * (5 * MIB), b"the end"]
    upload = kind.store.start_multipart(key)
    parts = []
    for number, chunk in enumerate(chunks, start=1):
        url = kind.store.presign_part(key, upload, number, expires_seconds=60)
        parts.append(Part(number, kind.send(url, chunk)))
    assert kind.store.head(key) is None
    version = kind.store.complete_multipart(key, upload, parts)
    assert kind.store.get(key) == b"".join(chunks)
    head = kind.store.head(key)
    assert head is not None
    assert head.size == sum(map(len, chunks))
    if isinstance(kind.store, S3ObjectStore):
        assert head.version == version


def test_a_part_can_be_sent_again(kind: Kind, prefix: str) -> None:
    key = prefix + "again"
    upload = kind.store.start_multipart(key)
    url = kind.store.presign_part(key, upload, 1, expires_seconds=60)
    kind.send(url, b"first try")
    part = Part(1, kind.send(url, b"second try"))
    kind.store.complete_multipart(key, upload, [part])
    assert kind.store.get(key) == b"second try"


def test_a_part_is_as_long_as_it_was_signed_for(kind: Kind, prefix: str) -> None:
    key = prefix + "sized"
    upload = kind.store.start_multipart(key)
    url = kind.store.presign_part(key, upload, 1, expires_seconds=60, size=4)
    for wrong in (b"", b"one", b"seven b"):
        with pytest.raises(Forbidden):
            kind.send(url, wrong)
    kind.store.complete_multipart(key, upload, [Part(1, kind.send(url, b"four"))])
    assert kind.store.get(key) == b"four"


@pytest.mark.parametrize("fault", ["none", "etag", "missing", "order", "small"])
def test_wrong_parts_are_refused_and_nothing_becomes_visible(kind: Kind, prefix: str, fault: str) -> None:
    key = prefix + "wrong"
    upload = kind.store.start_multipart(key)
    sizes = {"small": (10, 10)}.get(fault, (5 * MIB, 10))
    first, second = (
        Part(
            number,
            kind.send(kind.store.presign_part(key, upload, number, expires_seconds=60), bytes([number]) * size),
        )
        for number, size in enumerate(sizes, start=1)
    )
    listed = {
        "none": [],
        "etag": [Part(1, '"00000000000000000000000000000000"'), second],
        "missing": [first, Part(3, second.etag)],
        "order": [second, first],
        "small": [first, second],
    }[fault]
    with pytest.raises(InvalidInput) as caught:
        kind.store.complete_multipart(key, upload, listed)
    assert caught.value.code == "invalid_parts"
    assert kind.store.head(key) is None


def test_an_aborted_upload_is_gone(kind: Kind, prefix: str) -> None:
    key = prefix + "aborted"
    upload = kind.store.start_multipart(key)
    part = Part(1, kind.send(kind.store.presign_part(key, upload, 1, expires_seconds=60), b"x"))
    kind.store.abort_multipart(key, upload)
    kind.store.abort_multipart(key, upload)
    with pytest.raises(NotFound):
        kind.store.complete_multipart(key, upload, [part])
    assert kind.store.head(key) is None


def test_the_probe_passes_and_leaves_nothing(seaweed_settings: ObjectStoreSettings) -> None:
    store = S3ObjectStore(seaweed_settings)
    store.ensure_bucket()
    store.probe()
    assert list(store.list("probes/")) == []


def test_presigned_urls_are_of_the_public_address(seaweed_settings: ObjectStoreSettings) -> None:
    public = seaweed_settings.model_copy(update={"s3_public_endpoint_url": "https://objects.example.org"})
    url = S3ObjectStore(public).presign_get("a/b", expires_seconds=60)
    assert url.startswith("https://objects.example.org/heddle/a/b?")
    assert "X-Amz-Signature=" in url


def test_a_wrong_secret_is_named(seaweed_settings: ObjectStoreSettings) -> None:
    stranger = seaweed_settings.model_copy(update={"s3_secret_key": SecretStr("0" * 48)})
    with pytest.raises(Unavailable) as caught:
        S3ObjectStore(stranger).get("a")
    assert caught.value.code == "object_store_refused"
    assert "HEDDLE_S3_SECRET_KEY" in caught.value.message


def test_a_missing_bucket_is_named_and_can_be_made(seaweed_settings: ObjectStoreSettings) -> None:
    store = S3ObjectStore(seaweed_settings.model_copy(update={"s3_bucket": "another"}))
    with pytest.raises(Unavailable) as caught:
        store.get("a")
    assert caught.value.code == "object_store_no_bucket"
    store.ensure_bucket()
    store.ensure_bucket()
    store.put("a", b"one")
    assert store.get("a") == b"one"


def test_a_server_that_is_away_is_unavailable() -> None:
    nowhere = ObjectStoreSettings(
        s3_endpoint_url="http://127.0.0.1:9",  # the discard port: nothing listens
        s3_access_key=SecretStr("a"),
        s3_secret_key=SecretStr("b"),
    )
    with pytest.raises(Unavailable) as caught:
        S3ObjectStore(nowhere).put("a", b"one")
    assert caught.value.retryable


def test_folders_and_open_multiparts_are_listed(kind: Kind, prefix: str) -> None:
    for key in ("a/one", "a/two", "b/three", "loose"):
        kind.store.put(prefix + key, b"x")
    assert list(kind.store.folders(prefix)) == [prefix + "a/", prefix + "b/"]
    begun = {kind.store.start_multipart(prefix + name): prefix + name for name in ("c", "d")}
    found = list(kind.store.open_multiparts(prefix))
    assert {upload.multipart_id: upload.key for upload in found} == begun
    for upload in found:
        assert upload.begun_at is not None
        kind.store.abort_multipart(upload.key, upload.multipart_id)
    assert list(kind.store.open_multiparts(prefix)) == []


def test_an_object_tells_when_it_was_written(store: ObjectStore, prefix: str) -> None:
    store.put(prefix + "dated", b"x")
    [listed] = store.list(prefix + "dated")
    headed = store.head(prefix + "dated")
    assert listed.modified_at is not None
    assert headed is not None
    assert headed.modified_at is not None
    assert abs((headed.modified_at - datetime.now(UTC)).total_seconds()) < 60
    assert abs((listed.modified_at - headed.modified_at).total_seconds()) <= 1
