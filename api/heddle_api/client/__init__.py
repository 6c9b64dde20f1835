"""The client: what programs, the command line and the demo use to talk to both planes over HTTP."""

from heddle_api.client.errors import ApiError, Unreachable
from heddle_api.client.heddle import HeddleClient
from heddle_api.client.results import (
    AdapterInfo,
    AliasInfo,
    BaseInfo,
    DatasetInfo,
    Document,
    EditResult,
    ErasureInfo,
    FactorSetInfo,
    GridResult,
    ImageInfo,
    ItemInfo,
    JobInfo,
    NewTenantInfo,
    PreviewInfo,
    RolloutInfo,
    VersionInfo,
)

__all__ = [
    "AdapterInfo",
    "AliasInfo",
    "ApiError",
    "BaseInfo",
    "DatasetInfo",
    "Document",
    "EditResult",
    "ErasureInfo",
    "FactorSetInfo",
    "GridResult",
    "HeddleClient",
    "ImageInfo",
    "ItemInfo",
    "JobInfo",
    "NewTenantInfo",
    "PreviewInfo",
    "RolloutInfo",
    "Unreachable",
    "VersionInfo",
]
