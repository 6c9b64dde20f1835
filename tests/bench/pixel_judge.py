"""An independent judge of pictures: a small convolutional classifier on pixels that knows nothing of any latent.

Benchmarks train it on images that no tenant sees, and ask it what an edited picture shows. It is taught crisp and
softened pictures alike (blur, noise, a little brightness), because a decoder softens and a judge that only knows
crisp edges would see things in a blur.

    judge = trained_judge(images, factors)           # a few minutes on one core, cached by digest of all that matters
    judge.levels(other_images)                       # [N, F] level indices
    judge.accuracy(other_images, other_factors)      # [F]
"""

import io
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from heddle_platform.digest import sha256_hex

VERSION = 1  # of network and teaching; part of the cache's name
BATCH, RATE = 128, 2e-3
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class PixelJudge:
    """A taught judge of F levelled factors.

    Attributes:
        network: pixels [N, 3, S, S] in 0..1 -> logits of all factors' levels side by side.
        levels_F: K of each factor.
        seconds: how long it was taught; 0 when it came from the cache.
    """

    network: nn.Module
    levels_F: tuple[int, ...]
    seconds: float

    def levels(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the level index [N, F] of every factor in every picture.

        Args:
            images_NHWC: uint8 [N, S, S, 3], the size it was taught on.
        """
        seen = []
        with torch.inference_mode():
            for start in range(0, len(images_NHWC), _CHUNK):
                logits = self.network(_pixels(images_NHWC[start : start + _CHUNK]))
                blocks = torch.split(logits, list(self.levels_F), dim=1)
                seen.append(torch.stack([block.argmax(dim=1) for block in blocks], dim=1).numpy())
        return np.concatenate(seen).astype(np.int64)

    def accuracy(self, images_NHWC: NDArray[np.uint8], factors_NF: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return the share of pictures each factor [F] is seen right in."""
        return np.asarray((self.levels(images_NHWC) == factors_NF).mean(axis=0), dtype=np.float64)


def trained_judge(
    images_NHWC: NDArray[np.uint8],
    factors_NF: NDArray[np.integer[Any]],
    *,
    epochs: int = 4,
    seed: int = 0,
    cache: Path | None = None,
) -> PixelJudge:
    """Teach a judge, or fetch the one that was taught on exactly these pictures.

    Args:
        images_NHWC: uint8 [N, S, S, 3], S a multiple of 16; pictures that the tenants judged never see.
        factors_NF: level index of each factor, 0..K-1, every level present.
        epochs: passes over the pictures.
        seed: of weights, order and softening.
        cache: where judges are kept; None: `heddle_pixel_judge` in the temporary folder.
    """
    levels_F = tuple(int(level) + 1 for level in factors_NF.max(axis=0))
    known = sha256_hex(
        images_NHWC.tobytes()
        + np.ascontiguousarray(factors_NF, dtype="<i8").tobytes()
        + repr((VERSION, images_NHWC.shape, levels_F, epochs, seed)).encode()
    )
    folder = cache or Path(tempfile.gettempdir()) / "heddle_pixel_judge"
    path = folder / f"{known[:32]}.pt"
    network = _network(images_NHWC.shape[1], sum(levels_F), seed)
    if path.is_file():
        network.load_state_dict(torch.load(io.BytesIO(path.read_bytes()), weights_only=True))
        return PixelJudge(network.eval(), levels_F, 0.0)
    started = time.perf_counter()
    _teach(network, images_NHWC, np.asarray(factors_NF, dtype=np.int64), levels_F, epochs, seed)
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}")
    torch.save(network.state_dict(), aside)
    aside.replace(path)
    return PixelJudge(network.eval(), levels_F, time.perf_counter() - started)


def _network(side: int, outputs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, stride=2, padding=1),
        nn.GELU(),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.GELU(),
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(64 * (side // 8) ** 2, 256),
        nn.GELU(),
        nn.Dropout(0.2),
        nn.Linear(256, outputs),
    )


def _teach(
    network: nn.Module,
    images_NHWC: NDArray[np.uint8],
    factors_NF: NDArray[np.int64],
    levels_F: Sequence[int],
    epochs: int,
    seed: int,
) -> None:
    random, chance = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    steps = epochs * (len(images_NHWC) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    network.train()
    for _ in range(epochs):
        order_N = random.permutation(len(images_NHWC))
        for start in range(0, len(order_N) - BATCH + 1, BATCH):
            rows = order_N[start : start + BATCH]
            logits = network(_softened(_pixels(images_NHWC[rows]), chance))
            truth = torch.from_numpy(factors_NF[rows])
            losses = [
                nn.functional.cross_entropy(block, truth[:, index])
                for index, block in enumerate(torch.split(logits, list(levels_F), dim=1))
            ]
            optimiser.zero_grad()
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


def _pixels(images_NHWC: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2))).float() / 255


def _softened(pixels: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Blur a random half by a random amount, then add noise and brightness, as a decoder might."""
    blurred = nn.functional.avg_pool2d(nn.functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand(len(pixels), 1, 1, 1, generator=chance)
    share = share * (torch.rand(len(pixels), 1, 1, 1, generator=chance) < 0.5)
    noise = 0.03 * torch.rand(len(pixels), 1, 1, 1, generator=chance) * torch.randn(pixels.shape, generator=chance)
    shade = 0.02 * torch.randn(len(pixels), 3, 1, 1, generator=chance)
    return pixels + share * (blurred - pixels) + noise + shade
