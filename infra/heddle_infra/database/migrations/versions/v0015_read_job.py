"""a job read in one round trip, within its tenant's scope"""

from alembic import op

from heddle_infra.database.walls import answer_in_one, forget_answer

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# names its tenant, as every query does, and is answered behind the wall besides
_QUESTION = "select * from jobs where jobs.id = wanted and jobs.tenant_id is not distinct from nullif(tenant, '')"


def upgrade() -> None:
    answer_in_one(op, "heddle_job", "wanted text", "jobs", _QUESTION)


def downgrade() -> None:
    forget_answer(op, "heddle_job", "text")
