import hashlib
from datetime import UTC, datetime

import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import digest_of, pack
from heddle_adapters.certificate import unlearning_certificate
from heddle_adapters.statistics import gather
from heddle_adapters.unlearn import unlearn
from heddle_platform.digest import canonical_json
from heddle_platform.errors import InvalidInput
from tests.adapters.conftest import Tenant

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_certificate_says_what_went_what_is_left_and_what_is_exact(tenant: Tenant, adapter: Adapter) -> None:
    statistics = gather(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, adapter.codings, base_digest="b" * 64, ridge=3.0
    )
    done = unlearn(adapter, statistics, tenant.latents_NL[:2], tenant.values_NF[:2])
    digests = [hashlib.sha256(name).hexdigest() for name in (b"one", b"other")]
    document = unlearning_certificate(pack(adapter), statistics, done, digests, AT, difference=2e-12)
    assert document["adapter"] == {"before": digest_of(pack(adapter)), "after": digest_of(pack(done.adapter))}
    assert document["adapter"]["before"] != document["adapter"]["after"]
    assert document["check"] == {**document["check"], "difference": 2e-12, "tolerance": 1e-8}
    assert document["rows"]["removed"] == sorted(digests)
    assert (document["rows"]["labelled_before"], document["rows"]["labelled_after"]) == (400, 398)
    assert document["at"] == "2030-01-02T03:04:05+00:00"
    assert set(document["parts"].values()) <= set(document["meaning"])
    assert canonical_json(document)
    with pytest.raises(InvalidInput) as error:
        unlearning_certificate(pack(adapter), statistics, done, digests[:1], AT)
    assert error.value.code == "row_count_mismatch"
