"""Objectives that are told something: pairs (Ada-GVAE) and pinned latents, in closed form."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from heddle_platform.base.corpus import Factor
from heddle_platform.base.objectives.ada import Ada, AdaConfig, shared_latents
from heddle_platform.base.objectives.pin import Pin, PinConfig, PinLatents, targets
from heddle_platform.base.objectives.term import Pass
from heddle_platform.errors import InvalidInput

FACTORS = (Factor("part", ("a",)), Factor("size", ("s", "m", "l")), Factor("turn", ("0", "1", "2", "3", "4")))


def blind(images: Tensor) -> tuple[Tensor, Tensor]:
    raise AssertionError("these terms look at the batch alone")


def blank(latents: Tensor) -> Tensor:
    raise AssertionError("these terms look at the batch alone")


def seen(mean: Tensor, labels: Tensor | None = None) -> Pass:
    picture = torch.zeros(len(mean), 1, 8, 8)
    unknown = torch.full((len(mean), len(FACTORS)), -1)
    known = unknown if labels is None else labels
    chance = torch.Generator().manual_seed(0)
    return Pass(picture, picture, mean, torch.zeros_like(mean), mean, known, 1.0, chance, blind, blank)


def test_a_latent_is_shared_below_the_middle_of_least_and_largest_divergence() -> None:
    # Unit variances: the divergence is half the squared difference, 0, .5, 1.125 and 2; their middle is 1.
    mean = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.5, 2.0]])
    assert shared_latents(mean, torch.zeros(2, 4)).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize(
    ("differing", "shared"),
    [(1, [True, True, True, False]), (3, [True, False, False, False]), (9, [False, False, False, False])],
)
def test_a_known_number_of_latents_differs(differing: int, shared: list[bool]) -> None:
    mean = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.5, 2.0]])
    assert shared_latents(mean, torch.zeros(2, 4), differing).tolist() == [shared]
    moved, _ = Ada(AdaConfig(differing=differing)).posterior(mean, torch.zeros(2, 4), 1.0)
    assert (moved[0] == moved[1]).tolist() == [True, *shared[1:]]


def test_variances_count_too() -> None:
    # KL(N(0, 1) || N(0, v)) = (1 / v - 1 + log v) / 2.
    logvar = torch.tensor([[0.0, 0.0], [0.0, math.log(0.01)]])
    assert shared_latents(torch.zeros(2, 2), logvar).tolist() == [[True, False]]


def test_partners_are_averaged_where_they_share_and_kept_where_they_differ() -> None:
    mean = torch.tensor([[0.0, 0.0], [5.0, 1.0], [0.2, 3.0], [5.0, 9.0]])
    logvar = torch.tensor([[0.0, 0.0], [0.0, 0.0], [math.log(3.0), 0.0], [0.0, 0.0]])
    moved, spread = Ada(AdaConfig()).posterior(mean, logvar, 1.0)
    torch.testing.assert_close(moved, torch.tensor([[0.1, 0.0], [5.0, 1.0], [0.1, 3.0], [5.0, 9.0]]))
    torch.testing.assert_close(spread[:, 0].exp(), torch.tensor([2.0, 1.0, 2.0, 1.0]))
    assert float(Ada(AdaConfig())(seen(moved))) == 1.0


def test_without_weight_it_is_the_vae() -> None:
    mean, logvar = torch.randn(6, 3), torch.randn(6, 3)
    moved, spread = Ada(AdaConfig()).posterior(mean, logvar, 0.0)
    assert torch.equal(moved, mean)
    torch.testing.assert_close(spread, logvar)


def test_its_value_has_no_gradient_and_its_averages_have() -> None:
    mean = torch.tensor([[0.0, 0.0], [0.2, 3.0]], requires_grad=True)
    moved, _ = Ada(AdaConfig()).posterior(mean, torch.zeros(2, 2), 1.0)
    assert not Ada(AdaConfig())(seen(moved)).requires_grad
    (through,) = torch.autograd.grad(moved[0, 0], mean)
    assert through.tolist() == [[0.5, 0.0], [0.5, 0.0]]


@pytest.mark.parametrize("levels", [2, 3, 40])
def test_ordered_levels_are_even_with_variance_one(levels: int) -> None:
    values = targets(Pin(factor="size", latents=(0,)), levels)[:, 0]
    assert float(values.mean()) == pytest.approx(0, abs=1e-6)
    assert float(values.square().mean()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(values.diff(), values.diff()[:1].expand(levels - 1))


def test_periodic_levels_lie_on_a_circle_that_may_close() -> None:
    values = targets(Pin(factor="turn", latents=(0, 1), scale="periodic", period=4), 5)
    torch.testing.assert_close(values.square().sum(dim=1), torch.full((5,), 2.0))
    torch.testing.assert_close(values[0], values[4])
    torch.testing.assert_close(values[1], torch.tensor([0.0, math.sqrt(2)]), atol=1e-6, rtol=0)


def test_a_folded_turn_rises_and_falls_without_a_jump() -> None:
    values = targets(Pin(factor="turn", latents=(0,), scale="folded", period=4), 9)[:, 0]
    top = math.sqrt(3)
    torch.testing.assert_close(values, torch.tensor([-top, 0.0, top, 0.0, -top, 0.0, top, 0.0, -top]))
    # Of a period that is no whole number of levels the values differ, their step does not.
    fine = targets(Pin(factor="turn", latents=(0,), scale="folded", period=100.5), 2010)[:, 0]
    assert float(fine.square().mean()) == pytest.approx(1, abs=1e-3)
    assert float(fine.diff().abs().max()) == pytest.approx(4 * top / 100.5, rel=1e-3)


def pinned(*pins: Pin, spread: float = 0.2, latents: int = 4) -> PinLatents:
    return PinLatents(PinConfig(pins=pins, spread=spread), latents, FACTORS)


def test_a_code_that_is_its_label_costs_nothing() -> None:
    term = pinned(Pin(factor="size", latents=(3,)), Pin(factor="turn", latents=(0, 2), scale="periodic"))
    labels = torch.tensor([[0, 2, 1], [0, 0, 4]])
    code = torch.randn(2, 4)
    code[:, 3] = targets(term.config.pins[0], 3)[labels[:, 1], 0]
    code[:, [0, 2]] = targets(term.config.pins[1], 5)[labels[:, 2]]
    assert float(term(seen(code, labels))) == 0


def test_an_ordered_pin_is_a_gaussians_cost_over_labelled_images_alone() -> None:
    term = pinned(Pin(factor="size", latents=(1,)), spread=0.5)
    labels = torch.tensor([[0, 1, -1], [0, -1, -1]])
    # Level 1 of 3 stands at 0; the second image has no label.
    assert float(term(seen(torch.full((2, 4), 2.0), labels))) == pytest.approx(2.0**2 / (2 * 0.5**2))


def test_a_pin_of_levels_is_cross_entropy() -> None:
    code, labels = torch.randn(3, 4), torch.tensor([[0, 2, -1], [0, 0, -1], [0, 1, -1]])
    value = pinned(Pin(factor="size", latents=(3, 1, 0), scale="levels"))(seen(code, labels))
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(code[:, [3, 1, 0]], labels[:, 1]))


def test_a_batch_without_labels_costs_nothing_and_still_differentiates() -> None:
    mean = torch.randn(2, 4, requires_grad=True)
    value = pinned(Pin(factor="size", latents=(0,)))(seen(mean))
    value.backward()
    assert float(value.detach()) == 0


@pytest.mark.parametrize(
    ("pin", "message"),
    [
        (Pin(factor="colour", latents=(0,)), "no factor 'colour' to pin; the corpus has part, size, turn"),
        (Pin(factor="size", latents=(4,)), r"size is pinned to \[4\], latents are 0..3"),
        (Pin(factor="size", latents=(0, 1), scale="levels"), "size has 3 levels, it is pinned to 2 latents"),
    ],
)
def test_a_pin_that_fits_nothing_is_refused(pin: Pin, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        pinned(pin)


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ([{"factor": "a", "latents": [0]}, {"factor": "b", "latents": [0]}], "each may be pinned once"),
        ([{"factor": "a", "latents": [0], "scale": "periodic"}], "a is periodic: it takes 2 latents, 1 are given"),
    ],
)
def test_pins_that_contradict_themselves_are_refused(pins: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PinConfig.model_validate({"pins": pins})
