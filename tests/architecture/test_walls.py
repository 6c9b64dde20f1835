"""Who may look at all tenants' rows at once: a list, so that nobody joins it by accident."""

import ast
from pathlib import Path

from tests.architecture.test_layout import CODE, ROOT

WIDE = frozenset({"platform_transaction", "platform_scope"})
# file -> why it needs the rows of more than one tenant, or of one it does not know yet
ALLOWED = {
    "infra/heddle_infra/database/engine.py": "defines the transaction",
    "infra/heddle_infra/database/walls.py": "defines the scope",
    "infra/heddle_infra/database/queue_order.py": "a place in the fair queue is a place among all tenants' jobs",
    "infra/heddle_infra/database/throughput.py": "how fast jobs go is told from all tenants' recent ones",
    "infra/heddle_infra/database/drift_told.py": "notes of which drift was told of are the platform's",
    "infra/heddle_infra/database/idempotency.py": "replies past their time go, whoever's they are",
    "workers/heddle_workers/dispatch.py": "claims are fair over tenants, and heartbeats are of many",
    "workers/heddle_workers/production.py": "fits of several tenants are compared with what each serves, together",
    "workers/heddle_workers/record.py": "fits of several tenants that end together are written together, each fenced",
    "workers/heddle_workers/rollout_job.py": "a rollout is about every tenant's adapters",
    "workers/heddle_workers/rollout_store.py": "a chunk of it holds adapters of several tenants",
    "api/heddle_api/control/rollouts/routes.py": "operators see what became of every tenant's adapters",
    "api/heddle_api/control/rollouts/service.py": "operators move every tenant's aliases, and move them back",
    "workers/heddle_workers/leftovers.py": "uploads of all tenants that outlived their set",
    "workers/heddle_workers/watch.py": "dispatchers note what belongs to the platform",
    "infra/heddle_infra/reconcile/owner.py": "the reconciler looks at tenant after tenant, and at those that are gone",
    "infra/heddle_infra/reconcile/run.py": "the reconciler goes through all tenants",
    "infra/heddle_infra/reconcile/shared.py": "the reconciler looks at what belongs to no tenant",
    "api/heddle_api/edge/batches/runner.py": "an edge works off whichever tenant's batch waits",
    "api/heddle_api/edge/source.py": "an edge serves every tenant, and finds whose a key is",
    "api/heddle_api/control/jobs/standing.py": "the queue that is looked at behind the answers is all tenants'",
    "api/heddle_api/control/context.py": "what operators' routes open",
    "api/heddle_api/control/key_directory.py": "whose a key is",
    "api/heddle_api/control/trail.py": "what an operator does to a tenant stands in the tenant's chain",
    "api/heddle_api/control/audit/service.py": "operators read every chain",
    "api/heddle_api/control/quotas/routes.py": "operators set quotas",
    "api/heddle_api/control/usage/routes.py": "operators read usage",
    "api/heddle_api/control/usage/stored.py": "what every tenant holds; uploads that nobody used",
    "api/heddle_api/control/cluster/routes.py": "operators see the queue of all tenants",
    "api/heddle_api/control/cluster/gauges.py": "metrics count the jobs of all tenants",
    "api/heddle_api/control/reconciliations/routes.py": "operators read what belongs to the platform",
    "api/heddle_api/control/reconciliations/service.py": "operators leave a wish for dispatchers",
    "api/heddle_api/control/drift/watch.py": "whichever tenant's version has drifted is told of",
    "api/heddle_api/edge/drift.py": "a flush holds the sums of many tenants",
    "api/heddle_api/meter.py": "a flush holds the counts of many tenants",
    "api/heddle_api/control/tenants/routes.py": "operators keep tenants",
    "api/heddle_api/control/webhooks/sender.py": "what is due is due to endpoints of all tenants",
    "api/heddle_api/control/tenants/service.py": "operators make and delete tenants",
}


def _names(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    plain = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return attributes | plain | defined


def test_only_listed_modules_see_the_rows_of_all_tenants() -> None:
    found = {str(file.relative_to(ROOT)) for file in CODE if WIDE & _names(file)}
    assert found - set(ALLOWED) == set(), (
        "these modules open a platform-wide transaction; open one of the tenant instead (control.transaction(caller), "
        "database.transaction(tenant_id)), or list the module here with the reason why it cannot"
    )
    assert set(ALLOWED) - found == set(), "these need no list entry any more"


def test_scopes_are_set_in_one_place() -> None:
    found = {str(file.relative_to(ROOT)) for file in CODE if "heddle.scope" in file.read_text()}
    assert found == {"infra/heddle_infra/database/walls.py", "infra/heddle_infra/database/migrate.py"}
