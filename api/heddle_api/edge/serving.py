"""Serving: everything an edit needs to know, resolved and frozen; a newer one replaces it whole."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Singles
from heddle_adapters.bank import AdapterBank
from heddle_adapters.change import check_request
from heddle_infra.database.serving import ServedKey
from heddle_platform.digest import sha256_hex
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput, NotFound, Unavailable


class Codec(Protocol):
    """Images to latents and back; `BaseRuntime` is one."""

    latents: int
    image_size: int

    def encode(self, images_NHWC: NDArray[np.uint8]) -> Singles:
        """uint8 [N, S, S, 3] -> standardised latents [N, L]."""

    def decode(self, latents_NL: Singles) -> Singles:
        """Standardised latents [N, L] -> float32 [N, S, S, 3] in 0..1."""


@dataclass(frozen=True, eq=False)
class LoadedBase:
    """A base in memory: its two ONNX sessions, and the bank of all adapters fitted on it."""

    name: str
    digest: str
    runtime: Codec
    bank: AdapterBank


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """What an edit runs on: one version of a tenant's adapter, and its base."""

    tenant_id: str
    name: str
    version: int
    digest: str
    base: LoadedBase

    @property
    def adapter(self) -> Adapter:
        """The adapter, as its bank holds it."""
        return self.base.bank.get(self.digest)

    @property
    def label(self) -> str:
        """`name@version`, as responses state it."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, eq=False)
class Trial:
    """What is on trial beside an alias's own version: a canary that edits a share of all images, and a shadow."""

    canary: Target | None
    weight: float
    shadow: Target | None

    def takes(self, target: Target, image_digest: str) -> bool:
        """Tell whether the canary edits this image: the same answer for the same image, on every replica."""
        place = sha256_hex(f"{target.tenant_id}/{target.name}/{image_digest}".encode())
        return int(place[:13], 16) / 16**13 < self.weight  # 52 bits: exact in a float


@dataclass(frozen=True, eq=False)
class Serving:
    """The state of serving at one moment, all artifacts in memory.

    Attributes:
        keys: SHA-256 of a key -> the key.
        epochs: tenant id -> cache epoch, active tenants only.
        targets: (tenant id, adapter name) -> version number -> target; None where it cannot be loaded now.
        aliases: (tenant id, adapter name) -> alias -> target; None where neither its version nor the one it
            pointed to before could be loaded.
        default_base: the base that the alias `default` names.
        names: tenant id -> names of its adapters.
        trials: (tenant id, adapter name, alias) -> what is on trial there and could be loaded.
        suspended: SHA-256 of the keys of suspended tenants.
        rates: tenant id -> requests per second and burst, where not the default; None: the default of that one.
    """

    keys: Mapping[str, ServedKey]
    epochs: Mapping[str, int]
    targets: Mapping[tuple[str, str], Mapping[int, Target | None]]
    aliases: Mapping[tuple[str, str], Mapping[str, Target | None]]
    default_base: LoadedBase | None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    suspended: frozenset[str] = frozenset()
    rates: Mapping[str, tuple[float | None, int | None]] = field(default_factory=dict)
    trials: Mapping[tuple[str, str, str], Trial] = field(default_factory=dict)

    def route(self, target: Target, request: EditRequest, image_digest: str) -> tuple[Target, Target | None]:
        """Choose who edits an image: the version that `resolve` found, or the canary beside it; and the shadow.

        Args:
            target: what `resolve` found.
            request: the edit; one that names a version is never routed elsewhere.
            image_digest: SHA-256 of the image's file.

        Returns:
            The target, and who shall draw the same edit for comparison. A canary that cannot do the edit at all
            (it lacks a factor that the alias's own version has) leaves it to that version.
        """
        trial = self.trials.get((target.tenant_id, target.name, request.adapter_reference))
        if trial is None:
            return target, None
        chosen = trial.canary
        if chosen is None or not trial.takes(target, image_digest) or not _can(chosen, request):
            chosen = target
        shadow = trial.shadow
        return chosen, shadow if shadow is not None and shadow is not chosen and _can(shadow, request) else None

    def named(self) -> Iterator[Target | None]:
        """Yield every target that a version, an alias or a trial names; None where one cannot be loaded now."""
        for versions in self.targets.values():
            yield from versions.values()
        for aliases in self.aliases.values():
            yield from aliases.values()
        for trial in self.trials.values():
            yield from (trial.canary, trial.shadow)

    def names_known(self, tenant_id: str, request: EditRequest) -> bool:
        """Whether `resolve` would find the adapter, and the version or alias, that a request names."""
        name, reference = request.adapter_name, request.adapter_reference
        if reference.isdecimal():
            return int(reference[:9]) in self.targets.get((tenant_id, name), {})
        return reference in self.aliases.get((tenant_id, name), {})

    def resolve(self, tenant_id: str, request: EditRequest) -> Target:
        """Find the version that `request.adapter` names.

        Raises:
            NotFound: codes `unknown_adapter`, `unknown_version`, `unknown_alias`; the sentence lists those
                there are.
            Unavailable: code `adapter_not_loaded`: it exists and its files could not be read yet.
        """
        name, reference = request.adapter_name, request.adapter_reference
        versions = self.targets.get((tenant_id, name))
        if versions is None:
            known = self.names.get(tenant_id, ())
            there = f"yours are: {_listed(known)}" if known else "you have none yet: fit one and let it pass its gate"
            raise _missing("unknown_adapter", f"there is no servable adapter {name[:60]!r}; {there}")
        if reference.isdecimal():
            number = int(reference[:9])
            if number not in versions:
                raise _missing(
                    "unknown_version",
                    f"{name!r} has no servable version {reference[:60]}; servable are: {_listed(versions)}",
                )
            target = versions[number]
        else:
            aliases = self.aliases.get((tenant_id, name), {})
            if reference not in aliases:
                known_aliases = _listed(aliases) or "none"
                raise _missing(
                    "unknown_alias",
                    f"{name!r} has no alias {reference[:60]!r}; its aliases are: {known_aliases}; its servable "
                    f"versions: {_listed(versions)}",
                )
            target = aliases[reference]
        if target is None:
            raise Unavailable(
                f"the files of {name}@{reference} cannot be read at the moment; try again soon",
                code="adapter_not_loaded",
                param="/adapter",
            )
        return target


def _can(target: Target, request: EditRequest) -> bool:
    try:
        check_request(target.adapter, request)
    except InvalidInput:
        return False
    return True


def _missing(code: str, sentence: str) -> NotFound:
    return NotFound(sentence, code=code, param="/adapter")


def _listed(names: Iterable[str | int]) -> str:
    every = [str(name) for name in names]
    return ", ".join(every[:20]) + (f" and {len(every) - 20} more" if len(every) > 20 else "")
