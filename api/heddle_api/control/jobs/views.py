"""What is sent and shown of jobs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from heddle_api.control.datasets.service import FactorSetRef
from heddle_api.control.jobs.attempts import AttemptView
from heddle_api.control.jobs.standing import NOWHERE, Standing
from heddle_api.control.wire import Asked, DisplayName, Handle, Reference, each_once
from heddle_infra.database.refits import BY_HAND
from heddle_platform.drift import MOST_HOURS, USUAL_HOURS
from heddle_platform.records import CardKind, ExportFormat, Job, JobError, JobEvent, JobStatus, JobType


class NewJob(Asked):
    """A fit to be: a labelled set, read by a factor set, on a base, giving the next version of an adapter."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "fit", "adapter": "avatars", "factor_set": "avatars", "dataset": "spring", "base": "default"}
            ]
        },
    )
    type: Literal["fit"]
    adapter: Handle = Field(description="Name of the adapter; made by its first fit. Lower-case letters, digits, _, -.")
    factor_set: Reference = Field(description="Id, name, or name@version; the one the set was labelled with.")
    dataset: Reference = Field(description="Id of a labelled set, or a name: the newest not rejected one.")
    base: Reference = Field("default", description="Id, alias or name of a published base.")
    card: CardKind = Field(
        "full",
        description="brief: a card of a few edits per factor, without curves, scores and pictures, for fleets of small "
        "fits; a hundred times sooner done.",
    )
    priority: int = Field(
        0, ge=-5, le=5, description="Which of your own jobs goes first; it moves nothing among tenants."
    )


class NewPretraining(Asked):
    """A base to be trained; the recipe is read whole where it runs, and what is wrong with it fails the job at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "pretrain",
                    "recipe": {"name": "sprites", "corpus": {"images": {"dsprites": 20000}}, "steps": 5000},
                    "workers": 1,
                }
            ]
        },
    )
    type: Literal["pretrain"]
    recipe: dict[str, Any] = Field(description="A base recipe as `heddle base train` takes it, as JSON.")
    workers: int = Field(1, ge=1, le=64, description="Processes that share every batch and average their gradients.")


class NewSweep(Asked):
    """A recipe to be trained in many settings, of which one is chosen; a plan that cannot be run is refused at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "sweep",
                    "plan": {
                        "name": "beta",
                        "recipe": {"name": "sprites", "corpus": {"images": {"dsprites": 4000}}, "steps": 1000},
                        "space": {"terms.kl.schedule.weight": [1, 4, 12]},
                        "seeds": [0, 1, 2],
                        "steps": 1000,
                        "criterion": {"score": "mig", "labels": 200},
                    },
                }
            ]
        },
    )
    type: Literal["sweep"]
    plan: dict[str, Any] = Field(description="A plan as `heddle base sweep` takes it, as JSON, its recipe in place.")


class NewEvaluation(Asked):
    """A version to be scored on another labelled set, and held against its own card; nothing that is served changes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "evaluate", "adapter": "avatars@production", "dataset": "autumn"}]},
    )
    type: Literal["evaluate"]
    adapter: Reference = Field(
        description="name@alias or name@version; by the name alone the version in production, else the newest."
    )
    dataset: Reference = Field(
        description="Id of a labelled set, or a name: the newest not rejected one. Its labels are read with the "
        "version's factor set; images that the version was fitted on are left out, unless there are no others."
    )
    priority: int = Field(
        0, ge=-5, le=5, description="Which of your own jobs goes first; it moves nothing among tenants."
    )


class NewRefit(Asked):
    """An adapter to be fitted anew with what it was last fitted with, or with what has come since."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "refit", "adapter": "avatars", "trigger": "drift"},
                {
                    "type": "refit",
                    "adapter": "avatars",
                    "dataset": "summer",
                    "factor_set": "avatars",
                    "base": "default",
                },
            ]
        },
    )
    type: Literal["refit"]
    adapter: Reference = Field(description="Id or name of the adapter.")
    dataset: Reference | None = Field(
        None, description="Id or name of a labelled set; null: that of the version in production, else of the newest."
    )
    factor_set: Reference | None = Field(
        None, description="Id, name, or name@version; null: the newest version of the factor set it was fitted with."
    )
    base: Reference | None = Field(None, description="Id, alias or name of a published base; null: the one it is on.")
    trigger: DisplayName = Field(
        BY_HAND, description="Why: `drift`, `feedback`, `by hand`; it stays with the job and with the version."
    )
    priority: int = Field(
        0, ge=-5, le=5, description="Which of your own jobs goes first; it moves nothing among tenants."
    )


_Versions = Annotated[list[Reference], Field(min_length=1, max_length=20)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class NewExport(Asked):
    """Files of versions to be made anew, checked against the platform's own arithmetic, and put into one archive."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "export", "adapter": "avatars@production"},
                {"type": "export", "adapter": ["avatars@3", "avatars@4"], "formats": ["editor", "onnx", "npz"]},
            ]
        },
    )
    type: Literal["export"]
    adapter: Annotated[_Versions, BeforeValidator(_listed, json_schema_input_type=Reference | _Versions)] = Field(
        description="name@alias or name@version; by the name alone the version in production, else the newest. Up to "
        "20 of them in a list go into one archive."
    )
    formats: Annotated[list[ExportFormat], BeforeValidator(each_once)] = Field(
        ["editor"],
        min_length=1,
        max_length=3,
        json_schema_extra={"uniqueItems": True},
        description="editor: one ONNX file that edits pictures, the base within; onnx: the adapter's graph; npz: its "
        "matrices.",
    )
    priority: int = Field(
        0, ge=-5, le=5, description="Which of your own jobs goes first; it moves nothing among tenants."
    )


class NewDriftCheck(Asked):
    """A version's drift to be looked at now, as it is every hour."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "drift_check", "adapter": "avatars@production", "window_hours": 24}]},
    )
    type: Literal["drift_check"]
    adapter: Reference = Field(
        description="name@alias or name@version; by the name alone the version in production, else the newest."
    )
    window_hours: int = Field(USUAL_HOURS, ge=1, le=MOST_HOURS, description="How many hours to look back.")
    priority: int = Field(
        0, ge=-5, le=5, description="Which of your own jobs goes first; it moves nothing among tenants."
    )


AnyNewJob = Annotated[
    NewJob | NewRefit | NewEvaluation | NewExport | NewDriftCheck | NewPretraining | NewSweep,
    Field(discriminator="type"),
]


class BaseRef(BaseModel):
    """Which base, exactly."""

    id: str
    name: str
    digest: str


class JobView(BaseModel):
    """A job."""

    id: str
    type: JobType
    status: JobStatus
    queue_position: int | None = Field(description="How many jobs go before this one; null when it does not wait.")
    estimated_start_at: datetime | None = Field(
        None,
        description="When it will start, by recent jobs; null when it does not wait or none was measured.",
    )
    estimated_end_at: datetime | None = Field(None, description="When it will end; likewise.")
    priority: int = Field(0, description="Which of your own jobs goes first; -5 to 5.")
    progress: float = Field(description="Share done, 0 to 1.")
    stage: str | None = Field(description="What is being done at the moment.")
    attempt: int = Field(description="How many times the job was started.")
    cancel_requested: bool
    adapter: str | None
    version: int | None = Field(None, description="Of an evaluation: what it scores; of a refit: what it fits anew.")
    trigger: str | None = Field(None, description="Of a refit: why.")
    factor_set: FactorSetRef | None
    dataset: str | None
    base: BaseRef | None
    card: CardKind = Field("full", description="Of a fit: which card it makes.")
    error: JobError | None = Field(description="Why it failed: a stable code and a sentence.")
    dead_letter: bool = Field(
        False, description="Its attempts were used up for reasons of ours; POST /v1/jobs/{id}/retry sends it again."
    )
    attempts: list[AttemptView] | None = Field(
        None, description="Of a single failed job: each attempt, when it began, and why it ended."
    )
    result: dict[str, Any] | None = Field(
        description="Of a finished fit or refit: adapter, version and card, or `unchanged` where the version before "
        "stands; of an evaluation: scores per factor, held against the card; of an export: the archive, and each "
        "version's files with how far they are from the platform's arithmetic; of a "
        "drift check: what GET /v1/drift tells, and whether webhooks were told; of a pretraining: base and card; of a "
        "sweep: the chosen setting and its recipe, the criterion, why, and the address of the report."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EventView(BaseModel):
    """One thing that happened to a job."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: datetime


def view(job: Job, standing: Standing = NOWHERE, attempts: list[AttemptView] | None = None) -> JobView:
    """Return what is shown of a job."""
    spec = job.spec
    factor_set = (
        FactorSetRef(id=spec["factor_set_id"], version=spec["factor_set_version"]) if "factor_set_id" in spec else None
    )
    base = (
        BaseRef(id=spec["base_id"], name=spec["base_name"], digest=spec["base_digest"]) if "base_id" in spec else None
    )
    shown = job.model_dump(exclude={"tenant_id", "spec", "cost", "forgiven"})
    return JobView(
        **shown,
        **vars(standing),
        attempts=attempts,
        adapter=spec.get("adapter"),
        version=spec.get("version"),
        trigger=spec.get("trigger"),
        factor_set=factor_set,
        dataset=spec.get("dataset_id"),
        base=base,
        card=spec.get("card", "full"),
    )


def event_view(event: JobEvent) -> EventView:
    """Return what is shown of an event."""
    return EventView(id=str(event.id), type=event.type, data=event.data, created_at=event.created_at)
