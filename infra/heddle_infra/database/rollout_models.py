"""Tables of rollouts: the rollout, a row for every served version it is about, and a row for every alias it moved."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, Integer, String, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from heddle_infra.database.models import CASCADE, Id, Table


class RolloutRow(Table):
    __tablename__ = "rollouts"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    base_id: Mapped[str] = mapped_column(Id, ForeignKey("bases.id"))
    base_name: Mapped[str]
    base_digest: Mapped[str]
    job_id: Mapped[str] = mapped_column(
        Id
    )  # an operator's; no foreign key, for jobs are tenants' rows, behind the wall
    status: Mapped[str] = mapped_column(server_default="fitting")
    canary_share: Mapped[float] = mapped_column(Float)
    max_wait_seconds: Mapped[int | None]
    dry_run: Mapped[bool]
    promote: Mapped[bool] = mapped_column(server_default=text("false"))
    promoted_from: Mapped[str | None] = mapped_column(Id)
    promoted_revision: Mapped[int | None]
    tenants: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    key_id: Mapped[str] = mapped_column(Id)
    canary_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        # two rollouts at once would move the same aliases; dry runs move none
        Index(
            "uq_rollouts_open",
            text("(true)"),
            unique=True,
            postgresql_where=text("status in ('fitting', 'canary') and not dry_run"),
        ),
    )


class RolloutItemRow(Table):
    __tablename__ = "rollout_items"
    rollout_id: Mapped[str] = mapped_column(Id, ForeignKey("rollouts.id", ondelete=CASCADE), primary_key=True)
    adapter_id: Mapped[str] = mapped_column(Id, ForeignKey("adapters.id", ondelete=CASCADE), primary_key=True)
    from_version: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    adapter_name: Mapped[str]
    from_base_digest: Mapped[str]
    to_version: Mapped[int | None]
    outcome: Mapped[str | None]
    passed: Mapped[bool] = mapped_column(server_default=text("false"))
    mapped: Mapped[bool] = mapped_column(server_default=text("false"))
    numbers: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    reasons: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    moved: Mapped[bool] = mapped_column(server_default=text("false"))
    done_at: Mapped[datetime | None]


class RolloutMoveRow(Table):
    __tablename__ = "rollout_moves"
    rollout_id: Mapped[str] = mapped_column(Id, ForeignKey("rollouts.id", ondelete=CASCADE), primary_key=True)
    adapter_id: Mapped[str] = mapped_column(Id, ForeignKey("adapters.id", ondelete=CASCADE), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    from_version: Mapped[int]
    from_previous: Mapped[int | None]
    to_version: Mapped[int]
    revision: Mapped[int]
    undone: Mapped[str | None]
    moved_at: Mapped[datetime] = mapped_column(server_default=func.now())
