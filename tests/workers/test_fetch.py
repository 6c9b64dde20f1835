"""Fetching by presigned address, from a real HTTP server on loopback."""

import traceback
from collections.abc import Iterator

import pytest

from heddle_platform.digest import sha256_hex
from heddle_platform.errors import DataCorrupt, TooLarge, Unavailable
from heddle_workers.fetch import fetch_bytes, fetched_file

from .ray_head import free_port
from .web import serving

BODY = bytes(range(256)) * 4_096  # 1 MiB


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving({"body": BODY, "short": BODY}, cut="short") as address:
        yield address


def test_a_file_arrives_whole_with_its_digest_and_leaves_no_name(server: str) -> None:
    with fetched_file(f"{server}/body", max_bytes=len(BODY)) as fetched:
        assert fetched.file.read() == BODY
        assert (fetched.size, fetched.sha256) == (len(BODY), sha256_hex(BODY))
    assert fetched.file.closed


def test_more_bytes_than_allowed_are_not_taken(server: str) -> None:
    with pytest.raises(TooLarge, match=str(len(BODY) - 1)), fetched_file(f"{server}/body", max_bytes=len(BODY) - 1):
        pass
    with pytest.raises(TooLarge):
        fetch_bytes(f"{server}/body", max_bytes=10)


def test_bytes_of_another_digest_are_refused(server: str) -> None:
    assert fetch_bytes(f"{server}/body", max_bytes=len(BODY), sha256=sha256_hex(BODY)) == BODY
    with pytest.raises(DataCorrupt) as caught:
        fetch_bytes(f"{server}/body", max_bytes=len(BODY), sha256="0" * 64)
    assert caught.value.code == "digest_mismatch"


def test_a_missing_object_is_final_and_a_refusal_may_pass(server: str) -> None:
    with pytest.raises(DataCorrupt) as gone:
        fetch_bytes(f"{server}/404", max_bytes=1)
    assert (gone.value.code, gone.value.retryable) == ("object_missing", False)
    for status in (403, 500, 503):
        with pytest.raises(Unavailable, match=str(status)) as refused:
            fetch_bytes(f"{server}/{status}", max_bytes=1)
        assert refused.value.retryable


def test_a_store_that_is_away_or_hangs_up_may_come_back(server: str) -> None:
    with pytest.raises(Unavailable):
        fetch_bytes(f"http://127.0.0.1:{free_port()}/body", max_bytes=1)
    with pytest.raises(Unavailable):
        fetch_bytes(f"{server}/short", max_bytes=len(BODY))


def test_what_goes_wrong_names_no_signature(caplog: pytest.LogCaptureFixture) -> None:
    secret = sha256_hex(b"signature")
    target = f"body?X-Amz-Signature={secret}"
    with serving({target: BODY}, cut=target) as hangs_up:
        for address in (f"http://127.0.0.1:{free_port()}", hangs_up):
            with pytest.raises(Unavailable) as caught:
                fetch_bytes(f"{address}/{target}", max_bytes=len(BODY))
            assert secret not in "".join(traceback.format_exception(caught.value))
    assert secret not in caplog.text
