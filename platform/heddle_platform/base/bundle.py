"""A base as it is shipped and stored: a manifest and three files, addressed by the manifest's digest.

    manifest.json         what it is, how it was trained, what it scored, digests of the files below
    weights.safetensors   the weights that no graph holds under its own name (the head of the log variance, matrices a
                          graph holds transposed), in half precision: with the graphs' own, all one needs to fine-tune
    encoder.onnx          image [B, 3, S, S] in 0..1 -> latent [B, L], the raw posterior mean
    decoder.onnx          latent [B, L], raw -> image [B, 3, S, S] in 0..1

`manifest.json` is canonical JSON, so its SHA-256 is the base's digest.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import DataCorrupt, NotFound

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
FILES = (WEIGHTS, ENCODER, DECODER)

# The model card lies beside a bundle and is no part of it: a base's digest does not change when it is measured anew.
CARD_JSON = "card.json"
CARD_HTML = "card.html"
CARD_FILES = (CARD_JSON, CARD_HTML)


class CorpusSummary(BaseModel):
    """What a base was trained on: the parts and their image counts, and the seed they were drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: dict[str, int]
    seed: int

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the corpus's parts."""
        return tuple(self.images)


class BaseMetrics(BaseModel):
    """What a base scored on images held out of its corpus.

    Attributes:
        mse: part -> mean squared error of the round trip, images in 0..1.
        active_units: latents whose posterior mean varies by more than .01.
        kl_per_latent: mean KL of each latent, nats.
        steps: training steps taken.
        parity_latent: largest |torch - onnx| of a latent, in its standard deviations.
        parity_image: largest |torch - onnx| of a pixel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mse: dict[str, float]
    active_units: int
    kl_per_latent: tuple[float, ...]
    steps: int
    parity_latent: float
    parity_image: float


class BaseManifest(BaseModel):
    """What a base is and where it comes from.

    Attributes:
        format_version: layout of the bundle; this code reads version 1.
        name: the recipe's name.
        image_size: side of its square images in pixels.
        channels: what the network sees, 1 (grey) or 3 (RGB); the graphs take and give RGB either way.
        latents: L.
        latent_mean, latent_std: L statistics of the raw posterior mean over the corpus.
        recipe: the whole recipe, as it was read.
        corpus: what it was trained on.
        metrics: what it scored.
        code_version: version of heddle that trained it.
        trained_at: RFC 3339, UTC.
        files: file name -> SHA-256 of its bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = Field(default=FORMAT_VERSION, ge=FORMAT_VERSION, le=FORMAT_VERSION)
    name: str
    image_size: int = Field(ge=8)
    channels: Literal[1, 3] = 3
    latents: int = Field(ge=1)
    latent_mean: tuple[float, ...]
    latent_std: tuple[float, ...]
    recipe: dict[str, Any]
    corpus: CorpusSummary
    metrics: BaseMetrics
    code_version: str
    trained_at: str
    files: dict[str, str]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("latent_mean", "latent_std"):
            found = len(getattr(self, name))
            if found != self.latents:
                raise ValueError(f"{name} has {found} values, the base {self.latents} latents")
        if set(self.files) != set(FILES):
            raise ValueError(f"files are {sorted(self.files)}, a bundle holds {sorted(FILES)}")
        return self

    def canonical(self) -> bytes:
        """The bytes of manifest.json."""
        return canonical_json(self.model_dump(mode="json"))


@dataclass(frozen=True)
class BaseBundle:
    """A manifest and the bytes of its files, which match their digests."""

    manifest: BaseManifest
    files: dict[str, bytes]

    def __post_init__(self) -> None:
        for name, expected in self.manifest.files.items():
            if name not in self.files:
                raise DataCorrupt(f"base {self.manifest.name} lacks {name}; fetch the bundle again")
            found = sha256_hex(self.files[name])
            if found != expected:
                raise DataCorrupt(
                    f"{name} of base {self.manifest.name} has digest {found}, its manifest says {expected}; "
                    "fetch the bundle again"
                )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical manifest; through the file digests in it, of everything."""
        return sha256_hex(self.manifest.canonical())

    def all_files(self) -> dict[str, bytes]:
        """Every file of the bundle, the manifest last: what is stored under a base's prefix."""
        return {**{name: self.files[name] for name in FILES}, MANIFEST: self.manifest.canonical()}


def parse_bundle(contents: Mapping[str, bytes]) -> BaseBundle:
    """Make a bundle of its files' bytes, wherever they came from.

    Args:
        contents: file name -> bytes; must hold manifest.json and the files it names.
    Raises:
        NotFound: there is no manifest.
        DataCorrupt: the manifest cannot be read, or a file is missing or does not match its digest.
    """
    if MANIFEST not in contents:
        raise NotFound(f"no {MANIFEST} here: this is not a base bundle", code="base_not_found")
    try:
        manifest = BaseManifest.model_validate_json(contents[MANIFEST])
    except ValidationError as error:
        raise DataCorrupt(f"{MANIFEST} is not a base manifest of format {FORMAT_VERSION}: {error}") from error
    return BaseBundle(manifest, {name: contents[name] for name in manifest.files if name in contents})


def load_bundle(path: Path) -> BaseBundle:
    """Read and verify a bundle's directory.

    Raises:
        NotFound: the directory or its manifest is missing.
        DataCorrupt: see `parse_bundle`.
    """
    names = (*FILES, MANIFEST)
    return parse_bundle({name: (path / name).read_bytes() for name in names if (path / name).is_file()})


def read_card_files(path: Path) -> dict[str, bytes]:
    """The model card's files that lie beside a bundle, by name; empty where there is no card."""
    return {name: (path / name).read_bytes() for name in CARD_FILES if (path / name).is_file()}


def write_bundle(bundle: BaseBundle, path: Path) -> None:
    """Write a bundle's directory, in place of any older one; half a bundle is never seen at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    fresh, old = aside / "fresh", aside / "old"
    fresh.mkdir()
    try:
        for name, data in bundle.all_files().items():
            with (fresh / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    finally:
        shutil.rmtree(aside)


def default_bundle_path() -> Path:
    """Directory of the base that is shipped with heddle."""
    return Path(str(package_files("heddle_platform.base").joinpath("default")))
