"""Post-hoc isolation: invertible maps of a trained base's latents, which the exported graphs contain."""
