"""What a caller sends has the JSON types that the document says, and its faults can be counted."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from heddle_api.control.adapters.service import AliasTarget
from heddle_api.control.datasets.service import NewDataset
from heddle_api.control.fits.service import PreviewRequest
from heddle_api.control.keys.service import NewKey, Rotation
from heddle_api.control.quotas.service import NewQuota
from heddle_api.control.reconciliations.service import NewReconciliation
from heddle_api.control.wire import Asked, Moment


@pytest.mark.parametrize(
    ("model", "document", "place"),
    [
        (Rotation, {"overlap_seconds": False}, ("overlap_seconds",)),
        (Rotation, {"overlap_seconds": "60"}, ("overlap_seconds",)),
        (NewQuota, {"weight": True}, ("weight",)),
        (NewReconciliation, {"repair": 1}, ("repair",)),
        (NewReconciliation, {"repair": "no"}, ("repair",)),
        (AliasTarget, {"version": 2, "canary": {"version": 3, "weight": "1"}}, ("canary", "weight")),
        (NewKey, {"name": "a", "scopes": ["edits"], "expires_at": 4_000_000_000}, ("expires_at",)),
    ],
)
def test_what_is_of_another_type_is_refused_at_its_place(
    model: type[Asked], document: object, place: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(document)
    assert [fault["loc"] for fault in refused.value.errors()] == [place]


def test_whole_numbers_may_be_spelt_either_way() -> None:
    assert NewQuota.model_validate({"weight": 1, "burst": 5.0, "images": None}).burst == 5


@pytest.mark.parametrize("text", ["0.5", "1700000000", "-5"])
def test_a_moment_is_no_count_of_seconds(text: str) -> None:
    moments = TypeAdapter[object](Moment)
    moments.validate_python("2026-11-24T00:00:00Z")
    with pytest.raises(ValidationError):
        moments.validate_python(text)


@pytest.mark.parametrize(
    ("model", "document", "most"),
    [
        (NewKey, {"name": "a", "scopes": [str(number) for number in range(100_000)]}, 1),
        (NewKey, {f"field{number}": 1 for number in range(100_000)}, 1),
        (PreviewRequest, {"factor_set": "a", "latents": [["x"] * 4_000] * 50, "labels": [{}] * 50}, 1),
        (NewDataset, {"name": "a", "factor_set": "a", "items": [{"labels": {"x": []}}] * 1_000}, 10),
    ],
)
def test_countless_faults_are_not_counted(model: type[Asked], document: object, most: int) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(json.loads(json.dumps(document)))
    assert refused.value.error_count() <= most
