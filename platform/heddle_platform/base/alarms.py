"""Named warnings of a training: what goes wrong, with its numbers, and what to do about it.

posterior_collapse   latents fall silent: the KL term outweighs what they are worth to the decoder
blurry               reconstructions have far less edge than the images
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from heddle_platform.base.config import Recipe

# Before that, warm-ups are still under way and every network is blurry.
SETTLED_SHARE = 0.2

_NEAR_ZERO_NATS = 0.5
_FALLEN_SHARE = 0.5
_LARGE_WEIGHT = 1.0
_BLURRED_SHARE = 0.5
_WIDE_SIGMA = 0.1


class Alarm(BaseModel):
    """One warning.

    Attributes:
        name: stable snake_case name.
        finding: what was measured, with the numbers.
        advice: what to change, naming the recipe's field and its present value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["posterior_collapse", "blurry"]
    finding: str
    advice: str


def find_alarms(
    recipe: "Recipe", *, edges: Mapping[str, float], kl_per_latent: Sequence[float], active_units: int, most_active: int
) -> tuple[Alarm, ...]:
    """Look for what goes wrong.

    Args:
        recipe: what is trained; the advice names its fields.
        edges: part -> edge energy of reconstructions over that of images.
        kl_per_latent: nats, [L].
        active_units: latents that vary now.
        most_active: the most that varied at any measurement of this training.
    """
    found = (_collapse(recipe, kl_per_latent, active_units, most_active), _blur(recipe, edges))
    return tuple(alarm for alarm in found if alarm is not None)


def _collapse(recipe: "Recipe", kl_per_latent: Sequence[float], active_units: int, most_active: int) -> Alarm | None:
    kl, latents = sum(kl_per_latent), len(kl_per_latent)
    if kl < _NEAR_ZERO_NATS:
        finding = f"KL is {kl:.2f} nats per image, {active_units} of {latents} latents are active"
    elif active_units <= _FALLEN_SHARE * most_active:
        finding = f"active units fell from {most_active} to {active_units} of {latents} (KL {kl:.1f} nats per image)"
    else:
        return None
    return Alarm(name="posterior_collapse", finding=finding, advice=_revive(recipe))


def _revive(recipe: "Recipe") -> str:
    kl_terms = [term for term in recipe.terms if term.kind == "kl"]
    weight = max((term.schedule.weight for term in kl_terms), default=0.0)
    if weight > _LARGE_WEIGHT:
        return (
            f"beta, the kl term's schedule.weight, is {weight:g}: lower it, raise it slowly (schedule.warmup .5) or "
            "give each latent some nats for nothing (free_nats .25)"
        )
    return (
        "beta is not large, so the decoder does without the code, or the pixels weigh too little: keep latents alive "
        "(kl term: schedule.warmup .5, free_nats .25), lower the reconstruction's sigma, or make the decoder weaker"
    )


def _blur(recipe: "Recipe", edges: Mapping[str, float]) -> Alarm | None:
    blurred = sorted((share, part) for part, share in edges.items() if share < _BLURRED_SHARE)
    if not blurred:
        return None
    share, part = blurred[0]
    finding = f"reconstructions of {part} have {share:.0%} of the images' edge energy"
    if len(blurred) > 1:
        finding += f", and those of {len(blurred) - 1} other part(s) less than {_BLURRED_SHARE:.0%}"
    return Alarm(name="blurry", finding=finding, advice=_sharpen(recipe))


def _sharpen(recipe: "Recipe") -> str:
    wide = [
        term
        for term in recipe.terms
        if term.kind == "reconstruction" and term.sigma != "fitted" and term.sigma > _WIDE_SIGMA
    ]
    if wide:
        return (
            f"the reconstruction's sigma is {wide[0].sigma:g}: lower it, or let each image have its own (sigma: fitted)"
        )
    return "train longer, raise the reconstruction's edge weight, or give the network more latents or width"
