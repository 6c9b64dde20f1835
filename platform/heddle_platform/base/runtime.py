"""A base at work: images to latents and back, by ONNX Runtime and without torch.

What leaves `encode` and enters `decode` is standardised with the base's own latent statistics; nobody outside this
file sees a raw latent.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from heddle_platform.base.bundle import DECODER, ENCODER, BaseBundle
from heddle_platform.errors import InvalidInput

# Pictures of one call: on a processor what its second-level cache holds beside their activations (24 took 8 % less time
# than 64 there, 16 no less), elsewhere enough to be busy. What comes out does not depend on it.
_BATCH, _BATCH_OF_GPU = 24, 64
_ROWS = 128  # of one call to the dense layers that are cut off; a picture is a row there
_CPU = "CPUExecutionProvider"
# ONNX Runtime's fused kernels for these are slow where a summand is broadcast: without them a round trip of the patch
# network takes 14 % less time.
_SLOWER_FUSED = ["SkipLayerNormFusion", "BiasGeluFusion"]
_SMALLEST_STD = 1e-6


class BaseRuntime:
    """One base, ready to encode and decode; safe to share between threads.

    Attributes:
        latents: L.
        image_size: side of its square RGB images in pixels.
        digest: the bundle's digest.
        provider: the ONNX Runtime provider in use.
        batch: images of one call to the graphs; more go in several.
        mean_L, std_L: what raw latents are standardised with.
    """

    def __init__(
        self,
        encoder: Sequence[onnxruntime.InferenceSession],
        decoder: Sequence[onnxruntime.InferenceSession],
        bundle: BaseBundle,
    ) -> None:
        self._encoder, self._decoder = encoder, decoder
        manifest = bundle.manifest
        self.mean_L = np.array(manifest.latent_mean, dtype=np.float32)
        # A dead latent would be divided by its noise otherwise.
        self.std_L = np.maximum(np.array(manifest.latent_std, dtype=np.float32), np.float32(_SMALLEST_STD))
        self.latents, self.image_size = manifest.latents, manifest.image_size
        self.digest = bundle.digest
        self.provider: str = encoder[0].get_providers()[0]
        self.batch = _BATCH if self.provider == _CPU else _BATCH_OF_GPU

    @classmethod
    def from_bundle(cls, bundle: BaseBundle, *, threads: int = 1, parted: bool = False) -> Self:
        """Make sessions of a bundle's graphs.

        Args:
            bundle: a verified bundle.
            threads: threads of one call; calls from several threads run side by side.
            parted: cut each graph where its dense layers end, see `cut`: `seen_again` of a hundred takes 8 % less on
                processors. It asks for the onnx library.
        """
        graphs: dict[str, tuple[bytes, ...]] = {name: (bundle.files[name],) for name in (ENCODER, DECODER)}
        if parted and _providers() == [_CPU]:
            from heddle_platform.base.cut import cut

            graphs = {
                ENCODER: cut(bundle.files[ENCODER], "last") or graphs[ENCODER],
                DECODER: cut(bundle.files[DECODER], "first") or graphs[DECODER],
            }
        encoder, decoder = ([_session(graph, threads) for graph in graphs[name]] for name in (ENCODER, DECODER))
        return cls(encoder, decoder, bundle)

    def encode(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images -> standardised latents.

        Args:
            images_NHWC: uint8 [N, S, S, 3], S = image_size.
        Returns:
            float32 [N, L], zero mean and unit variance over the corpus.
        Raises:
            InvalidInput: wrong shape or type.
        """
        expected = (self.image_size, self.image_size, 3)
        if images_NHWC.ndim != 4 or images_NHWC.shape[1:] != expected or images_NHWC.dtype != np.uint8:
            raise InvalidInput(
                f"images are {images_NHWC.dtype} {list(images_NHWC.shape)}, the base takes uint8 [N, "
                f"{', '.join(map(str, expected))}]; resize them first"
            )
        raw_NL = np.empty((len(images_NHWC), self.latents), dtype=np.float32)
        for start in range(0, len(images_NHWC), self.batch):
            chunk = images_NHWC[start : start + self.batch].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
            raw_NL[start : start + self.batch] = _run(self._encoder, chunk)
        raw_NL -= self.mean_L
        raw_NL /= self.std_L
        return raw_NL

    def decode(self, latents_NL: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardised latents -> images.

        Args:
            latents_NL: [N, L].
        Returns:
            float32 [N, S, S, 3] in 0..1.
        Raises:
            InvalidInput: wrong shape, or a value that is not finite.
        """
        return np.ascontiguousarray(self.drawn(latents_NL).transpose(0, 2, 3, 1))

    def drawn(self, latents_NL: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardised latents -> images as the decoder returns them, float32 [N, 3, S, S] in 0..1.

        Raises:
            InvalidInput: see `decode`.
        """
        raw_NL = self._raw(latents_NL)
        if 0 < len(raw_NL) <= self.batch:
            return _run(self._decoder, raw_NL)
        images_NCHW = np.empty((len(raw_NL), 3, self.image_size, self.image_size), dtype=np.float32)
        for start in range(0, len(raw_NL), self.batch):
            images_NCHW[start : start + self.batch] = _run(self._decoder, raw_NL[start : start + self.batch])
        return images_NCHW

    def seen(self, images_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """Drawn images [N, 3, S, S] -> standardised latents [N, L] of them as pictures: rounded to bytes and clipped.

        The same numbers as `encode(to_uint8(...))`; the images are overwritten.
        """
        _round(images_NCHW)
        seen_NL = np.empty((len(images_NCHW), self.latents), dtype=np.float32)
        for start in range(0, len(images_NCHW), self.batch):
            seen_NL[start : start + self.batch] = _run(self._encoder, images_NCHW[start : start + self.batch])
        seen_NL -= self.mean_L
        seen_NL /= self.std_L
        return seen_NL

    def seen_again(self, latents_NL: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardised latents -> those of the pictures they draw, [N, L] -> [N, L]: encode(to_uint8(decode())).

        The same numbers as that, without turning pictures to [N, S, S, 3] and back.

        Raises:
            InvalidInput: see `decode`.
        """
        raw_NL = self._raw(latents_NL)
        seen_NL = np.empty((len(latents_NL), self.latents), dtype=np.float32)
        for start in range(0, len(latents_NL), _ROWS):
            seen_NL[start : start + _ROWS] = self._again(raw_NL[start : start + _ROWS])
        seen_NL -= self.mean_L
        seen_NL /= self.std_L
        return seen_NL

    def _again(self, raw_RL: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw latents -> raw latents of the pictures they draw: dense layers of all, patches of a few at a time."""
        *dense, paint = self._decoder
        look, *gather = self._encoder
        rows_RX = _run(dense, raw_RL)
        found = []
        for start in range(0, len(rows_RX), self.batch):
            images_NCHW = _run([paint], rows_RX[start : start + self.batch])
            _round(images_NCHW)
            found.append(_run([look], images_NCHW))
        return _run(gather, np.concatenate(found))

    def _raw(self, latents_NL: NDArray[np.floating]) -> NDArray[np.float32]:
        if latents_NL.ndim != 2 or latents_NL.shape[1] != self.latents:
            raise InvalidInput(f"latents are {list(latents_NL.shape)}, the base takes [N, {self.latents}]")
        if not np.isfinite(latents_NL).all():
            raise InvalidInput("latents hold values that are not finite; decode needs numbers")
        raw_NL: NDArray[np.float32] = latents_NL.astype(np.float32) * self.std_L + self.mean_L
        return raw_NL


def to_uint8(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Images in 0..1 -> 0..255, rounded and clipped."""
    scaled = images * 255
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, 255, out=scaled)
    return np.asarray(scaled.astype(np.uint8))


def _round(images_NCHW: NDArray[np.float32]) -> None:
    """Make drawn images what they are as bytes, still in 0..1."""
    images_NCHW *= np.float32(255)
    np.rint(images_NCHW, out=images_NCHW)
    np.clip(images_NCHW, 0, 255, out=images_NCHW)
    images_NCHW /= np.float32(255)


def _run(graphs: Sequence[onnxruntime.InferenceSession], rows: NDArray[Any]) -> NDArray[np.float32]:
    """Run graphs of one input and one output, one after the other; no graphs return what they are given."""
    for graph in graphs:
        [rows] = graph.run(None, {graph.get_inputs()[0].name: rows})
    return rows


def _providers() -> list[str]:
    offered = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", _CPU) if name in offered]


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads eat a small machine's cores between calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers = _providers()
    slower = _SLOWER_FUSED if providers == [_CPU] else []
    return onnxruntime.InferenceSession(graph, options, providers=providers, disabled_optimizers=slower)
