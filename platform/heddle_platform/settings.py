"""Settings, read once at the edge of each process from `HEDDLE_*` variables; frozen afterwards.

Nothing but these differs between a laptop and production. Names carry their unit. Secrets are `SecretStr`,
and the development ones are refused when `HEDDLE_ENVIRONMENT=production`.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from heddle_platform.records import JobType

DEVELOPMENT_SECRET = "development-only-secret-of-heddle"  # noqa: S105  refused in production


class _Concern(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HEDDLE_", frozen=True, extra="ignore")


class DatabaseSettings(_Concern):
    """PostgreSQL. `HEDDLE_DATABASE_URL`: postgresql+asyncpg://user:password@host:port/name.

    It names the role of the planes and the dispatcher, which must be no superuser, own no table and not have BYPASSRLS:
    row-level security keeps tenants apart and holds for such a role only. `HEDDLE_DATABASE_OWNER_URL` names the owner
    of the same database; only `python -m heddle_infra.database` (and `heddle up`) read it, to migrate as that role and
    to let the other one in, which is made where the owner may make roles; else, as a superuser, once:
    `create role heddle_app login password '...'`. Without it one role does both, and a production plane is not ready.
    """

    database_url: SecretStr
    database_owner_url: SecretStr | None = None
    database_pool_size: int = Field(16, ge=1)  # connections of a process, opened as they are needed
    database_connect_timeout_seconds: float = Field(10.0, gt=0)


class ObjectStoreSettings(_Concern):
    """Any S3 server: `HEDDLE_S3_ENDPOINT_URL`, `_ACCESS_KEY`, `_SECRET_KEY`, `_BUCKET`, `_REGION`.

    `s3_public_endpoint_url` is the address that clients and workers reach presigned URLs at, where it differs.
    """

    s3_endpoint_url: str
    s3_public_endpoint_url: str | None = None
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_bucket: str = "heddle"
    s3_region: str = "us-east-1"
    s3_timeout_seconds: float = Field(20.0, gt=0)


class CacheSettings(_Concern):
    """Any Redis-protocol server: `HEDDLE_REDIS_URL` (redis://... or unix://...). It may vanish at any time.

    In front of it each edge process holds up to `cache_near_bytes` of finished edits in memory, 0: none.
    """

    redis_url: SecretStr
    redis_timeout_seconds: float = Field(0.05, gt=0)
    cache_latent_ttl_seconds: int = Field(86_400, ge=1)
    cache_image_ttl_seconds: int = Field(3_600, ge=1)
    cache_near_bytes: int = Field(64 * 1024**2, ge=0)


class RaySettings(_Concern):
    """The Ray cluster the dispatcher drives: `HEDDLE_RAY_ADDRESS` (host:port of the GCS).

    A task that encodes or fits takes `ray_task_cpus` CPUs (or all of a smaller node) and as many threads. A worker
    that encodes takes `ray_encode_gpus` of a GPU (a fraction lets several share one) and `ray_encode_cpus` CPUs where
    that is set. Every task reserves `ray_task_memory_bytes`, so that Ray puts no more on a node than fits. A worker
    that pretrains reserves `ray_pretrain_cpus`: none, so that hours of it do not keep fits waiting on a small machine;
    on a cluster set it to the recipe's threads.
    """

    ray_address: str
    ray_task_cpus: float = Field(2.0, gt=0)
    ray_task_memory_bytes: int = Field(0, ge=0)
    ray_encode_cpus: float | None = Field(None, gt=0)
    ray_encode_gpus: float = Field(0.0, ge=0)
    ray_pretrain_cpus: float = Field(0.0, ge=0)


class SecuritySettings(_Concern):
    """`HEDDLE_SECRET_KEY` signs edit ids and seals stored replies; `HEDDLE_ADMIN_KEY` is the first admin key."""

    environment: Literal["development", "production"] = "development"
    secret_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    admin_key: SecretStr | None = None

    @model_validator(mode="after")
    def _no_development_secret_in_production(self) -> "SecuritySettings":
        if self.environment == "production" and self.secret_key.get_secret_value() == DEVELOPMENT_SECRET:
            raise ValueError("HEDDLE_SECRET_KEY must be set in production; make one of at least 32 random characters")
        return self


class LimitSettings(_Concern):
    """Bounds on what may be sent; every one is named in the error that refuses more."""

    upload_max_bytes: int = Field(2 * 1024**3, ge=1)
    upload_part_bytes: int = Field(16 * 1024**2, ge=5 * 1024**2)
    upload_ttl_seconds: int = Field(24 * 3600, ge=60)
    dataset_max_images: int = Field(100_000, ge=1)
    sweep_max_trainings: int = Field(500, ge=1)  # settings times seeds of a job
    image_max_bytes: int = Field(20 * 1024**2, ge=1)
    image_max_pixels: int = Field(25_000_000, ge=1)
    edit_queue_max: int = Field(256, ge=1)
    edit_deadline_seconds: float = Field(5.0, gt=0)


class QuotaSettings(_Concern):
    """What a tenant may have and do unless an operator set something else: `HEDDLE_QUOTA_*`.

    Requests are counted on each plane by itself. The queue has no defaults here: weight 1, and no cap on what runs.
    """

    quota_requests_per_second: float = Field(2_000.0, gt=0, le=100_000)
    quota_burst: int = Field(4_000, ge=1)
    quota_images: int = Field(1_000_000, ge=0)
    quota_bytes: int = Field(500 * 1024**3, ge=0)
    quota_labelled_rows: int = Field(1_000_000, ge=0)
    quota_adapters: int = Field(10_000, ge=0)
    quota_queued_jobs: int = Field(20_000, ge=0)


class DispatchSettings(_Concern):
    """How jobs are leased. A job whose dispatcher dies is taken over after `lease_seconds`.

    `jobs_in_flight` jobs are leased at once, or two chunks of `chunk_fits` fits with brief cards. A Ray task takes as
    many fits of a chunk as have `chunk_rows` images together.
    """

    lease_seconds: float = Field(10.0, gt=0)
    heartbeat_seconds: float = Field(0.5, gt=0)  # a cancelled job is told at the next one
    poll_seconds: float = Field(0.2, gt=0)
    job_max_attempts: int = Field(8, ge=1)
    jobs_in_flight: int = Field(4, ge=1)
    chunk_fits: int = Field(50, ge=1, le=500)
    chunk_rows: int = Field(20_000, ge=1)
    task_timeout_seconds: float = Field(1_800.0, gt=0)
    pretrain_timeout_seconds: float = Field(7 * 24 * 3600.0, gt=0)
    rollout_timeout_seconds: float = Field(7 * 24 * 3600.0, gt=0)

    def timeout_of(self, job_type: JobType) -> float:
        """Seconds after which a job of this type is stopped."""
        if job_type == "rollout":  # as long as there are tenants; each of its tasks is short
            return self.rollout_timeout_seconds
        return self.pretrain_timeout_seconds if job_type in ("pretrain", "sweep") else self.task_timeout_seconds


class ReconcileSettings(_Concern):
    """How often the dispatcher holds rows and objects against each other, and what it does with orphans.

    What was written less than `reconcile_grace_seconds` ago is not judged: longer than any request or write takes. It
    deletes nothing unless `reconcile_repair` says so; an operator may have it repair once (`heddle ops reconcile`).
    """

    reconcile_every_seconds: float = Field(900.0, gt=0)
    reconcile_grace_seconds: float = Field(3_600.0, gt=0)
    reconcile_repair: bool = False


class TrackingSettings(_Concern):
    """Where runs of bases are logged beside their own log: `HEDDLE_MLFLOW_TRACKING_URI` (sqlite:///... or a server)."""

    mlflow_tracking_uri: str | None = None
    mlflow_experiment: str = "heddle-bases"


class WebhookSettings(_Concern):
    """How events are sent to tenants' endpoints: a failed delivery is tried again after 5 s, 20 s, ... for a day.

    `webhook_allow_loopback` lets endpoints be plain HTTP on this machine, and on this machine only: for development.
    `webhook_ca_file` holds certificates (PEM) of authorities that are trusted beside the system's.
    """

    webhook_allow_loopback: bool = False
    webhook_ca_file: Path | None = None
    webhook_timeout_seconds: float = Field(10.0, gt=0)
    webhook_first_retry_seconds: float = Field(5.0, gt=0)
    webhook_longest_retry_seconds: float = Field(6 * 3600.0, gt=0)
    webhook_max_attempts: int = Field(10, ge=1)
    webhook_disable_after_seconds: float = Field(5 * 24 * 3600.0, gt=0)
    webhook_overlap_seconds: float = Field(24 * 3600.0, gt=0)
    webhook_poll_seconds: float = Field(0.5, gt=0)
    webhook_in_flight: int = Field(16, ge=1)
    webhook_endpoints_max: int = Field(20, ge=1)


class ServiceSettings(_Concern):
    """Where people and programs reach the two planes, as seen from outside."""

    control_url: str = "http://127.0.0.1:8000"
    edge_url: str = "http://127.0.0.1:8001"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    edge_threads: int = Field(1, ge=1)
    edge_poll_seconds: float = Field(0.5, gt=0)
    usage_flush_seconds: float = Field(2.0, gt=0)  # a killed process loses what it counted since its last flush


class Settings(BaseModel):
    """All concerns of one process."""

    model_config = {"frozen": True}
    database: DatabaseSettings
    objects: ObjectStoreSettings
    cache: CacheSettings
    security: SecuritySettings
    limits: LimitSettings
    dispatch: DispatchSettings
    service: ServiceSettings
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    reconcile: ReconcileSettings = Field(default_factory=ReconcileSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    quotas: QuotaSettings = Field(default_factory=QuotaSettings)

    @model_validator(mode="after")
    def _no_loopback_in_production(self) -> "Settings":
        if self.security.environment == "production" and self.webhooks.webhook_allow_loopback:
            raise ValueError("HEDDLE_WEBHOOK_ALLOW_LOOPBACK is for development; unset it in production")
        return self

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read all concerns from the environment.

        Raises:
            pydantic.ValidationError: a required variable is missing or out of range; the message names it.
        """
        return cls(
            database=DatabaseSettings(),
            objects=ObjectStoreSettings(),
            cache=CacheSettings(),
            security=SecuritySettings(),
            limits=LimitSettings(),
            dispatch=DispatchSettings(),
            service=ServiceSettings(),
            tracking=TrackingSettings(),
            reconcile=ReconcileSettings(),
            webhooks=WebhookSettings(),
            quotas=QuotaSettings(),
        )
