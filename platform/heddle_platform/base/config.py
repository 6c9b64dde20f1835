"""A recipe: everything that decides what a trained base is, in one file a person can read."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from heddle_platform.base.corpus import CorpusConfig
from heddle_platform.base.network import NetworkConfig
from heddle_platform.base.objectives.anchor import AnchorConfig
from heddle_platform.base.objectives.critic import CriticConfig
from heddle_platform.base.objectives.kl import KlConfig
from heddle_platform.base.objectives.mmd import MmdConfig
from heddle_platform.base.objectives.moments import MomentsConfig
from heddle_platform.base.objectives.reconstruction import ReconstructionConfig
from heddle_platform.base.objectives.total_correlation import TotalCorrelationConfig
from heddle_platform.errors import InvalidInput

TermConfig = Annotated[
    ReconstructionConfig | KlConfig | AnchorConfig | TotalCorrelationConfig | CriticConfig | MomentsConfig | MmdConfig,
    Field(discriminator="kind"),
]

_MOST_FAULTS = 5


class AugmentConfig(BaseModel):
    """Light augmentation; an augmented image carries no labels.

    Attributes:
        share: share of a batch that is augmented, in 0..1.
        zoom: largest relative change of size.
        shift: largest shift, as a share of the image's side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(default=0.3, ge=0, le=1)
    zoom: float = Field(default=0.25, ge=0, lt=1)
    shift: float = Field(default=0.15, ge=0, lt=1)


class OptimiserConfig(BaseModel):
    """A short linear warm-up and cosine decay; `average` is the decay of the weight average.

    `kind` says what steps the network's matrices: Muon, or AdamW, which always steps everything else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["muon", "adamw"] = "muon"
    batch: int = Field(default=96, ge=1)
    learning_rate: float = Field(default=1.5e-3, gt=0)
    final_share: float = Field(default=0.01, ge=0, le=1)
    warmup_steps: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float = Field(default=2000.0, gt=0)
    average: float = Field(default=0.998, ge=0, lt=1)


class Recipe(BaseModel):
    """How a base is trained. Exactly one of `steps` and `minutes` says for how long.

    With `steps` the result is the same on every run of one machine; with `minutes` the length, and so the result,
    depends on its speed. `notes` is for people; it travels in the manifest. `compile` is off by default: measured on
    an AVX2 CPU, a compiled step took longer than a plain one. So is bfloat16: its products ran 30 times slower there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    notes: str = ""
    seed: int = 0
    corpus: CorpusConfig
    network: NetworkConfig = NetworkConfig()
    terms: tuple[TermConfig, ...] = (ReconstructionConfig(), KlConfig(), AnchorConfig())
    augment: AugmentConfig = AugmentConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    threads: int = Field(default=1, ge=1)
    compile: bool = False
    checkpoint_seconds: float = Field(default=120.0, gt=0)
    evaluate_seconds: float = Field(default=300.0, gt=0)

    @model_validator(mode="after")
    def _one_length(self) -> "Recipe":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give exactly one of steps and minutes")
        return self


def read_recipe(document: Any, name: str = "the recipe") -> Recipe:
    """Read a recipe from plain values.

    Raises:
        InvalidInput: code `invalid_recipe`; the sentence names the first faults by field.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'recipe'}: {fault['msg']}" for fault in error.errors()
        ]
        more = f" and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        raise InvalidInput(
            f"{name} is not a base recipe: {'; '.join(faults[:_MOST_FAULTS])}{more}",
            code="invalid_recipe",
            param="recipe",
        ) from error


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from YAML.

    Raises:
        InvalidInput: the file is not YAML, or not a recipe.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path.name} is not a base recipe: {error}", code="invalid_recipe") from error
    return read_recipe(document, path.name)
