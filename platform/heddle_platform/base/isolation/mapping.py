"""What every post-hoc map looks like: latents to isolated latents, and exactly back."""

from torch import Tensor, nn


class Mapping(nn.Module):
    """An invertible map of latents [B, L]."""

    def forward(self, latents_BL: Tensor) -> Tensor:
        """Isolate."""
        raise NotImplementedError

    def inverse(self, isolated_BL: Tensor) -> Tensor:
        """Undo `forward`."""
        raise NotImplementedError

    def log_variance(self, latents_BL: Tensor, logvar_BL: Tensor) -> Tensor:
        """The log variance of isolated latents, given that of latents independent of each other, to first order."""
        raise NotImplementedError
