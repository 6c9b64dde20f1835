"""Muon: what one step does to a matrix, alone and in blocks."""

import math

import pytest
import torch

from heddle_platform.base.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (40, 5)])
def test_orthogonal_keeps_singular_vectors_and_levels_their_values(shape: tuple[int, int]) -> None:
    matrix = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).double()
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    assert values.max() / values.min() > 1.5
    turned = left.mT @ orthogonal(matrix) @ right.mT
    levelled = torch.diagonal(turned, dim1=-2, dim2=-1)
    assert torch.allclose(turned, torch.diag_embed(levelled), atol=1e-9)
    assert levelled.min() > 0.6
    assert levelled.max() < 1.25


def test_a_step_does_not_depend_on_the_size_of_the_gradient() -> None:
    steps = []
    for scale in (1e-3, 1e3):
        weight = torch.nn.Parameter(torch.zeros(6, 10))
        optimiser = Muon([{"params": [weight]}], learning_rate=0.1)
        weight.grad = scale * torch.randn(6, 10, generator=torch.Generator().manual_seed(1))
        optimiser.step()
        steps.append(weight.detach().clone())
    assert torch.allclose(steps[0], steps[1], atol=1e-4)
    # All singular values near 1, times the share of AdamW's step: the root mean square is about a fifth of the rate.
    assert float(steps[0].square().mean().sqrt()) == pytest.approx(0.1 * 0.2, rel=0.25)


@pytest.mark.parametrize("blocks", [{"row_blocks": 4}, {"column_blocks": 4}])
def test_blocks_are_stepped_as_matrices_of_their_own(blocks: dict[str, int]) -> None:
    rows, columns = (20, 6) if "row_blocks" in blocks else (6, 20)
    gradient = torch.randn(rows, columns, generator=torch.Generator().manual_seed(2))
    whole = torch.nn.Parameter(torch.zeros(rows, columns))
    whole.grad = gradient.clone()
    Muon([{"params": [whole], **blocks}], learning_rate=1.0).step()
    pieces = torch.chunk(gradient, 4, dim=0 if "row_blocks" in blocks else 1)
    expected = []
    for piece in pieces:
        ahead = 0.05 * piece * 0.95 + 0.05 * piece  # Nesterov: the gradient, 95 % of the way to its running mean
        expected.append(-0.2 * math.sqrt(max(piece.shape)) * orthogonal(ahead[None])[0])
    assert torch.allclose(whole.detach(), torch.cat(expected, dim=0 if "row_blocks" in blocks else 1), atol=1e-5)
