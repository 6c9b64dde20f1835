"""What an S3 server or the way to it says, in the words of `heddle_platform.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager

from heddle_platform.errors import HeddleError, InvalidInput, NotFound, PreconditionFailed, Unavailable

# codes as AWS documents them; a HEAD has no body, so botocore reports its bare status instead
_MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "NotFound", "404"})
_CONDITION = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
_REFUSED = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "Forbidden", "403"}
)
_PARTS = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML"})
_BAD_KEY = frozenset({"KeyTooLongError", "InvalidRequest", "InvalidURI", "400"})


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn errors of boto3 inside the block into ours.

    Args:
        key: what the block is about, named in the sentence.

    Raises:
        NotFound: no such object or multipart upload.
        PreconditionFailed: an If-Match or If-None-Match does not hold.
        InvalidInput: codes `invalid_parts`, `invalid_key`.
        Unavailable: the server is away, busy, lacks the bucket (`object_store_no_bucket`) or refuses our
            credentials (`object_store_refused`).
    """
    from botocore.exceptions import BotoCoreError, ClientError  # 0.3 s of import, paid at first use only
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise of_code(error.response.get("Error", {}).get("Code", ""), key) from error
    except (BotoCoreError, HTTPError, OSError) as error:  # a connection lost while the body streams is urllib3's
        raise Unavailable(
            f"the object store cannot be reached ({type(error).__name__}); try again in a moment"
        ) from error


def of_code(code: str, key: str) -> HeddleError:
    """Return the error that a server's code, or its bare status, stands for; `key` is named in the sentence."""
    if code in _MISSING:
        return NotFound(f"the object store has no {key!r}")
    if code in _CONDITION:
        return PreconditionFailed(f"{key!r} is not as expected any more; read it again and retry")
    if code in _PARTS:
        return InvalidInput(
            "the parts do not make up the upload: send each part's number and the ETag its PUT answered with, in "
            f"order; every part but the last has at least 5 MiB ({code})",
            code="invalid_parts",
            param="parts",
        )
    if code in _BAD_KEY:
        return InvalidInput(f"the object store does not accept the key {key[:80]!r} ({code})", code="invalid_key")
    if code in _REFUSED:
        return Unavailable(
            f"the object store refused our credentials ({code}); check HEDDLE_S3_ACCESS_KEY and HEDDLE_S3_SECRET_KEY",
            code="object_store_refused",
        )
    if code == "NoSuchBucket":
        return Unavailable(
            "the object store has no such bucket; create it or set HEDDLE_S3_BUCKET", code="object_store_no_bucket"
        )
    return Unavailable(f"the object store answered {code or 'an unknown error'}; try again in a moment")
