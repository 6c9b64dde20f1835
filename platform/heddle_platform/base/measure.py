"""Measuring a base in training: held-out figures, scores on the labelled slice, a traversal picture, warnings."""

import numpy as np
import torch
from numpy.typing import NDArray

from heddle_platform.base.alarms import SETTLED_SHARE, find_alarms
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Part
from heddle_platform.base.evaluate import Evaluation, evaluate
from heddle_platform.base.network import Network
from heddle_platform.base.readings import Measurement, Score
from heddle_platform.base.slices import score_parts
from heddle_platform.base.traversal import as_png, most_active, traversal_grid

_SMALLEST_STD = 1e-6


def measure(
    network: Network,
    recipe: Recipe,
    held_out: tuple[Part, ...],
    *,
    step: int,
    elapsed_seconds: float,
    done: float,
    losses: dict[str, float],
    most_active_before: int = 0,
    score: Score | None = None,
) -> tuple[Measurement, bytes]:
    """Measure a network at one step.

    Args:
        network: the averaged weights.
        recipe: what is trained.
        held_out: the parts it never saw.
        step, elapsed_seconds, losses: where the training stands.
        done: share of the training, 0..1; warnings wait until a fifth of it is over.
        most_active_before: most active units at earlier measurements.
        score: computes scores, or None for a training without.
    Returns:
        The measurement, and a traversal picture as PNG: one row for each of the most active latents.
    """
    figures = evaluate(network, held_out)
    alarms = find_alarms(
        recipe,
        edges=figures.edges,
        kl_per_latent=figures.kl_per_latent,
        active_units=figures.active_units,
        most_active=max(most_active_before, figures.active_units),
    )
    measurement = Measurement(
        step=step,
        elapsed_seconds=round(elapsed_seconds, 1),
        losses={name: round(value, 3) for name, value in losses.items()},
        mse={name: round(value, 5) for name, value in figures.mse.items()},
        edges={name: round(value, 3) for name, value in figures.edges.items()},
        active_units=figures.active_units,
        kl_per_latent=tuple(round(value, 3) for value in figures.kl_per_latent),
        scores=score_parts(held_out, figures.codes, score) if score else {},
        warnings=alarms if done >= SETTLED_SHARE else (),
    )
    return measurement, _traversal(network, figures)


def _traversal(network: Network, figures: Evaluation) -> bytes:
    codes_NL = np.concatenate(list(figures.codes.values()))
    mean_L, std_L = codes_NL.mean(axis=0), np.maximum(codes_NL.std(axis=0), _SMALLEST_STD)

    def decode(standardised_NL: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            raw = torch.from_numpy(standardised_NL * std_L + mean_L)
            drawn: NDArray[np.float32] = network.decoder(raw).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        return drawn

    origin_L = (codes_NL[0] - mean_L) / std_L
    return as_png(traversal_grid(decode, origin_L, most_active(figures.kl_per_latent)))
