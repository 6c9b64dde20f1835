"""Previews: labels and latents found, the mathematics run in a thread, nothing stored."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from heddle_adapters.preview import Preview
from heddle_adapters.preview import preview as compute
from heddle_api.control.context import Control
from heddle_api.control.datasets.service import FactorSetRef
from heddle_api.control.factors.service import split_reference
from heddle_api.control.wire import Asked, Reference
from heddle_infra.database import bases, datasets, factor_sets
from heddle_platform import keys
from heddle_platform.errors import Conflict, InvalidInput, NotFound
from heddle_platform.factors import FactorSet, parse_factor_set
from heddle_platform.latents import unpack_latents
from heddle_platform.manifest import Manifest
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Base, Dataset

MOST_INLINE_ROWS = 5_000
Label = str | bool | int | float | None
# of millions of wrong numbers the first is named
Row = Annotated[list[float], Field(min_length=1, max_length=4_096, fail_fast=True)]
Rows = Annotated[list[Row], Field(fail_fast=True)]
LabelRows = Annotated[list[dict[str, Label]], Field(fail_fast=True)]


class PreviewRequest(Asked):
    """What to preview: a labelled set, or latents and labels inline."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"dataset": "spring", "base": "default"},
                {
                    "factor_set": "avatars",
                    "latents": [[0.1, -1.2], [0.4, 0.3]],
                    "labels": [{"glasses": "round", "smile": True}, {}],
                },
            ],
            "oneOf": [
                {
                    "required": ["dataset"],
                    "properties": {
                        "dataset": {"type": "string"},
                        "latents": {"type": "null"},
                        "labels": {"type": "null"},
                    },
                },
                {
                    "required": ["factor_set", "latents", "labels"],
                    "properties": {
                        "dataset": {"type": "null"},
                        "factor_set": {"type": "string"},
                        "latents": {"type": "array"},
                        "labels": {"type": "array"},
                    },
                },
            ],
        },
    )
    dataset: Reference | None = Field(None, description="Id or name of a ready labelled set.")
    factor_set: Reference | None = Field(None, description="Id, name, or name@version; the set's own by default.")
    base: Reference = Field("default", description="Id, alias or name of the base that encoded the set.")
    latents: Rows | None = Field(
        None, max_length=MOST_INLINE_ROWS, description="Instead of a set: latents, one row per image."
    )
    labels: LabelRows | None = Field(
        None, max_length=MOST_INLINE_ROWS, description="With latents: per image its labels by factor; {} where none."
    )
    count: int = Field(10, ge=1, le=50, description="How many images to choose for labelling.")

    @model_validator(mode="after")
    def _one_source(self) -> "PreviewRequest":
        inline = self.latents is not None and self.labels is not None and self.factor_set is not None
        either = self.latents is not None or self.labels is not None
        if (self.dataset is None and not inline) or (self.dataset is not None and either):
            raise ValueError("send either `dataset`, or `latents`, `labels` and `factor_set`")
        return self


class FactorPreviewView(BaseModel):
    """How well one factor would be read."""

    name: str
    labels: int = Field(description="Images labelled for it.")
    score: float | None = Field(description="Out of fold; null where fewer than two distinct values are labelled.")
    measure: str = Field(description="accuracy, or r2 for numbers.")
    chance: float = Field(description="Score of always answering with the commonest level.")


class CurvePointView(BaseModel):
    """Mean score over factors when so many labelled images teach."""

    rows: int
    score: float


class NextView(BaseModel):
    """One image worth labelling."""

    file: str | None = Field(description="Path in the upload; null for inline latents.")
    row: int = Field(description="Its place: labelled rows first, then the unlabelled ones; or the row sent.")
    reason: str = Field(description="rare_level, empty_cell, uncertainty or leverage.")
    sentence: str = Field(description="Why, with the numbers.")
    value: float = Field(description="How much it is worth beside the others, 0 to 1.")
    factors: list[str] = Field(description="What to label it for above all.")


class PreviewView(BaseModel):
    """What a fit would be worth now."""

    dataset: str | None
    factor_set: FactorSetRef
    base: str | None = Field(description="Id of the base; null for inline latents.")
    rows: int = Field(description="Labelled images looked at, at most 2000.")
    candidates: int = Field(description="Images looked at that miss a label, at most 5000.")
    ridge: float = Field(description="Pseudo-counts per level that leave-one-out chose.")
    factors: list[FactorPreviewView]
    learning_curve: list[CurvePointView]
    label_next: list[NextView]


@dataclass(frozen=True)
class _Source:
    dataset: Dataset
    digest: str
    base: Base


async def preview(control: Control, tenant_id: str, wanted: PreviewRequest) -> PreviewView:
    """Preview a fit.

    Raises:
        NotFound: codes `unknown_factor_set`, `unknown_dataset`, `unknown_base`.
        Conflict: codes `dataset_not_ready`, `latents_not_ready`.
        InvalidInput: codes `too_few_labels`, `labels_do_not_fit`, `row_count_mismatch`, `wrong_shape`, `not_finite`,
            `unknown_factor`, `unknown_level`, `invalid_value`.
    """
    source: _Source | None = None
    async with control.ports.database.transaction(tenant_id) as session:
        if wanted.dataset is not None:
            dataset = await datasets.resolve(session, tenant_id, wanted.dataset)
            source = _Source(dataset, _digest_of(dataset), await bases.resolve(session, wanted.base))
        if wanted.factor_set is not None:
            reference, version = split_reference(wanted.factor_set)
        elif source is not None:
            reference, version = source.dataset.factor_set_id, source.dataset.factor_set_version
        else:
            raise InvalidInput("name the factor set of the labels", code="invalid_request", param="factor_set")
        found = await factor_sets.resolve(session, tenant_id, reference, version)
    ref = FactorSetRef(id=found.id, version=found.version)
    return await asyncio.to_thread(_preview, control.objects, tenant_id, wanted, source, found.document, ref)


def _digest_of(dataset: Dataset) -> str:
    if dataset.digest is None:
        raise Conflict(
            f"labelled set {dataset.id} is {dataset.status}, it must be ready; see its validation report",
            code="dataset_not_ready",
            param="dataset",
        )
    return dataset.digest


def _preview(
    objects: ObjectStore,
    tenant_id: str,
    wanted: PreviewRequest,
    source: _Source | None,
    document: dict[str, Any],
    ref: FactorSetRef,
) -> PreviewView:
    factor_set = parse_factor_set(document)
    files: tuple[str, ...] = ()
    latents_NL: NDArray[Any]
    if source is None:
        latents_NL, values_NF, weight_N = *_inline(wanted, factor_set), None
    else:
        manifest = Manifest.from_bytes(objects.get(keys.dataset_manifest(tenant_id, source.digest)))
        files = manifest.files
        values_NF = np.full((len(files), len(factor_set.factors)), np.nan)
        table = manifest.table(factor_set)
        values_NF[: len(manifest.rows)] = table.values_NF
        unlabelled_N = np.ones(len(files) - len(manifest.rows))
        weight_N = None if table.weight_N is None else np.concatenate([table.weight_N, unlabelled_N])
        latents_NL = _stored(objects, tenant_id, source, len(files))
    result = compute(latents_NL, values_NF, factor_set, weight_N=weight_N, count=wanted.count)
    return _view(result, source, files, ref)


def _stored(objects: ObjectStore, tenant_id: str, source: _Source, rows: int) -> NDArray[np.float32]:
    try:
        data = objects.get(keys.latents(tenant_id, source.digest, source.base.digest))
    except NotFound:
        raise Conflict(
            f"labelled set {source.dataset.id} has not been encoded by base {source.base.name} ({source.base.id}); "
            "queue a fit of it with POST /v1/jobs, whose first step encodes it, and ask again",
            code="latents_not_ready",
            param="dataset",
        ) from None
    return unpack_latents(data, rows=rows)


def _inline(wanted: PreviewRequest, factor_set: FactorSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    latents, labels = wanted.latents or [], wanted.labels or []
    widths = sorted({len(row) for row in latents})
    if len(widths) != 1:
        raise InvalidInput(
            f"the rows of latents have {len(widths)} different lengths {widths[:5]}; each needs the base's latents",
            code="wrong_shape",
            param="latents",
        )
    if len(labels) != len(latents):
        raise InvalidInput(
            f"labels have {len(labels)} rows, latents {len(latents)}; send {{}} for an image without labels",
            code="row_count_mismatch",
            param="labels",
        )
    places = {name: place for place, name in enumerate(factor_set.names)}
    values_NF = np.full((len(labels), len(places)), np.nan)
    for row, cells in enumerate(labels):
        for name, label in cells.items():
            factor = factor_set.factor(name)
            if label is None or label == "":
                continue
            try:
                values_NF[row, places[name]] = factor.parse(str(label))
            except ValueError as error:
                raise InvalidInput(f"labels, row {row}: {error}", code="invalid_value", param=name) from None
    return np.array(latents, dtype=np.float64), values_NF


def _view(result: Preview, source: _Source | None, files: tuple[str, ...], ref: FactorSetRef) -> PreviewView:
    return PreviewView(
        dataset=source.dataset.id if source else None,
        factor_set=ref,
        base=source.base.id if source else None,
        rows=result.rows,
        candidates=result.candidates,
        ridge=result.ridge,
        factors=[FactorPreviewView.model_validate(one, from_attributes=True) for one in result.factors],
        learning_curve=[CurvePointView.model_validate(one, from_attributes=True) for one in result.curve],
        label_next=[
            NextView(
                file=files[one.row] if files else None,
                row=one.row,
                reason=one.reason,
                sentence=one.sentence,
                value=one.value,
                factors=list(one.factors),
            )
            for one in result.label_next
        ],
    )
