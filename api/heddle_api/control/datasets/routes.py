"""Routes of labelled sets: `/v1/datasets`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from heddle_api.auth import Principal
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.datasets import service
from heddle_api.control.datasets.service import DatasetView, ItemView, NewDataset, ValidationReport
from heddle_api.control.erasures import service as erasures
from heddle_api.control.erasures.service import ErasureView, NewErasure
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.trail import AskedTrail
from heddle_infra.database import datasets

router = APIRouter(prefix="/v1/datasets", tags=["labelled sets"])
DataKey = Annotated[Principal, Depends(tenant_with("data"))]


@router.post("", status_code=202, response_model=DatasetView, summary="Register a labelled set")
async def create_dataset(body: NewDataset, tenant: DataKey, control: CurrentControl, post: OncePost) -> Response:
    """Register a completed upload, or images sent along, as a labelled set; its validation starts at once.

    Every fault is reported. Metadata such as where a picture was taken is removed before anything is kept.
    """
    return await post.once(tenant, lambda session: service.create(session, control, tenant.tenant, body))


@router.get("", summary="List labelled sets")
async def list_datasets(tenant: DataKey, control: CurrentControl, turn: AskedPage) -> Page[DatasetView]:
    """List labelled sets, newest first."""
    async with control.transaction(tenant) as session:
        return await service.list_own(session, tenant.tenant, turn)


@router.get("/{dataset}", summary="Read a labelled set")
async def get_dataset(dataset: str, tenant: DataKey, control: CurrentControl) -> DatasetView:
    """Read one labelled set by id, or the newest not rejected one of a name."""
    async with control.transaction(tenant) as session:
        return service.view(await datasets.resolve(session, tenant.tenant, dataset))


@router.get("/{dataset}/validation", summary="Read a validation report")
async def get_validation(dataset: str, tenant: DataKey, control: CurrentControl) -> ValidationReport:
    """Read what the validation found: every fault by row and column, and how often each level occurs."""
    async with control.transaction(tenant) as session:
        return service.report_of(await datasets.resolve(session, tenant.tenant, dataset))


@router.get("/{dataset}/items", summary="List the images of a labelled set")
async def list_items(dataset: str, tenant: DataKey, control: CurrentControl, turn: AskedPage) -> Page[ItemView]:
    """List a ready set's images with their labels, in the order of labels.csv."""
    return await service.items(control, tenant.tenant, dataset, turn)


@router.delete(
    "/{dataset}/items/{item}", status_code=202, response_model=ErasureView, summary="Erase an image of a labelled set"
)
async def delete_item(dataset: str, item: str, tenant: DataKey, control: CurrentControl, post: OncePost) -> Response:
    """Ask for one image to be erased from everything: POST /v1/erasure_requests in short, with the same answer."""
    wanted = NewErasure.model_construct(dataset=dataset, items=[item])  # any text may be asked for: it is just unknown
    return await post.once(tenant, lambda session: erasures.create(session, control, tenant, wanted))


@router.delete("/{dataset}", status_code=204, summary="Delete a labelled set")
async def delete_dataset(dataset: str, tenant: DataKey, control: CurrentControl, trail: AskedTrail) -> None:
    """Delete a labelled set that no job has used, with its images."""
    await service.remove(control, tenant, trail, dataset)
