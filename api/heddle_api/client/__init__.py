"""The client: what programs, the command line and the demo use to talk to both planes over HTTP."""

from heddle_api.client.asynchronous import AsyncHeddleClient
from heddle_api.client.drift_info import DriftInfo
from heddle_api.client.errors import ApiError, Unreachable
from heddle_api.client.exporting import ArchiveInfo
from heddle_api.client.heddle import HeddleClient
from heddle_api.client.pictures import Picture
from heddle_api.client.refitting import EvaluationInfo
from heddle_api.client.results import (
    AdapterInfo,
    AliasInfo,
    AliasMoveInfo,
    BaseAliasInfo,
    BaseInfo,
    BatchInfo,
    DatasetInfo,
    Document,
    EditResult,
    ErasureInfo,
    EstimateInfo,
    FactorSetInfo,
    GridResult,
    ImageInfo,
    ItemInfo,
    JobInfo,
    NewTenantInfo,
    PreviewInfo,
    QuotaInfo,
    RolloutInfo,
    VersionInfo,
)

__all__ = [
    "AdapterInfo",
    "AliasInfo",
    "AliasMoveInfo",
    "ApiError",
    "ArchiveInfo",
    "AsyncHeddleClient",
    "BaseAliasInfo",
    "BaseInfo",
    "BatchInfo",
    "DatasetInfo",
    "Document",
    "DriftInfo",
    "EditResult",
    "ErasureInfo",
    "EstimateInfo",
    "EvaluationInfo",
    "FactorSetInfo",
    "GridResult",
    "HeddleClient",
    "ImageInfo",
    "ItemInfo",
    "JobInfo",
    "NewTenantInfo",
    "Picture",
    "PreviewInfo",
    "QuotaInfo",
    "RolloutInfo",
    "Unreachable",
    "VersionInfo",
]
