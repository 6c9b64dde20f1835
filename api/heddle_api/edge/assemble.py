"""Assemble: a snapshot's rows and the adapters in memory become one state of serving, complete in itself."""

from collections.abc import Mapping

from heddle_api.edge.serving import LoadedBase, Serving, Target, Trial
from heddle_infra.database.serving import ServedVersion, ServingSnapshot


def assemble(
    snapshot: ServingSnapshot,
    loaded: Mapping[ServedVersion, Target],
    bases: Mapping[str, LoadedBase],
    old: Serving | None,
) -> Serving:
    """Put what is loaded together as the snapshot says.

    Args:
        snapshot: rows.
        loaded: versions in memory.
        bases: bases in memory, by digest.
        old: the state before, whose aliases stay where their new version cannot be read yet.
    """
    targets: dict[tuple[str, str], dict[int, Target | None]] = {}
    names: dict[str, set[str]] = {}
    for version in snapshot.versions:
        targets.setdefault((version.tenant_id, version.adapter_name), {})[version.version] = loaded.get(version)
        names.setdefault(version.tenant_id, set()).add(version.adapter_name)
    aliases: dict[tuple[str, str], dict[str, Target | None]] = {}
    for (tenant_id, name, alias), number in snapshot.aliases.items():
        owner = (tenant_id, name)
        if number not in targets.get(owner, {}):
            continue  # withdrawn since: it must not be served on
        wanted = targets[owner][number]
        if wanted is None and old is not None:
            before = old.aliases.get(owner, {}).get(alias)
            # what was withdrawn since must not be served on, however long its successor cannot be read
            wanted = before if before is not None and before.version in targets[owner] else None
        aliases.setdefault(owner, {})[alias] = wanted
    trials = {}
    for (tenant_id, name, alias), trial in snapshot.trials.items():
        versions = targets.get((tenant_id, name), {})
        # what cannot be read, or was withdrawn since, is simply not on trial
        canary, shadow = (None if n is None else versions.get(n) for n in (trial.canary, trial.shadow))
        if canary is not None or shadow is not None:
            trials[tenant_id, name, alias] = Trial(canary, trial.weight, shadow)
    return Serving(
        keys=snapshot.keys,
        epochs=snapshot.epochs,
        targets=targets,
        aliases=aliases,
        default_base=bases.get(snapshot.base_aliases.get("default", "")),
        suspended=snapshot.suspended,
        rates=snapshot.rates,
        trials=trials,
        names={tenant_id: tuple(sorted(mine)) for tenant_id, mine in names.items()},
    )
