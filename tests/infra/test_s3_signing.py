"""Signatures as botocore makes them."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import SecretStr

from heddle_infra.s3_signing import S3Signer
from heddle_platform.settings import ObjectStoreSettings

KEYS = ["a/b.npz", "tenants/ten_1/a b+c/ü~_-.zip", "x=1&y/%41"]


def signer(**more: str) -> S3Signer:
    settings = {"s3_endpoint_url": "http://store:8333", "s3_bucket": "heddle", "s3_region": "eu-west-1"} | more
    secrets = {"s3_access_key": SecretStr("access/key"), "s3_secret_key": SecretStr("secret+key")}
    return S3Signer(ObjectStoreSettings.model_validate(settings | secrets))


def moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("data", [b"", b"body"])
def test_headers_are_botocores(key: str, data: bytes) -> None:
    made = signer()
    request = AWSRequest(method="PUT", url=f"http://store:8333{made.path(key)}", data=data)
    request.context["payload_signing_enabled"] = True
    S3SigV4Auth(Credentials("access/key", "secret+key"), "s3", "eu-west-1").add_auth(request)
    found = made.headers("PUT", "store:8333", key, data, at=moment(request.headers["X-Amz-Date"]))
    assert found["Authorization"] == request.headers["Authorization"]
    assert found["x-amz-content-sha256"] == request.headers["X-Amz-Content-SHA256"]
    assert found["x-amz-date"] == request.headers["X-Amz-Date"]


@pytest.mark.parametrize("key", KEYS)
def test_presigned_urls_are_botocores(key: str) -> None:
    made = signer()
    request = AWSRequest(method="GET", url=f"http://store:8333{made.path(key)}")
    S3SigV4QueryAuth(Credentials("access/key", "secret+key"), "s3", "eu-west-1", expires=600).add_auth(request)
    at = moment(parse_qs(urlsplit(str(request.url)).query)["X-Amz-Date"][0])
    assert made.presigned("http://store:8333", key, expires_seconds=600, at=at) == request.url
