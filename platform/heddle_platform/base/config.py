"""A recipe: everything that decides what a trained base is, in one file a person can read."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from heddle_platform.base.augment import AugmentConfig
from heddle_platform.base.corpus import CorpusConfig
from heddle_platform.base.faults import faults_of
from heddle_platform.base.isolation.isolated import AfterConfig
from heddle_platform.base.labelled import LabelsConfig
from heddle_platform.base.network import NetworkConfig, PatchConfig
from heddle_platform.base.objectives.ada import AdaConfig
from heddle_platform.base.objectives.anchor import AnchorConfig
from heddle_platform.base.objectives.autoregressive import AutoregressiveConfig
from heddle_platform.base.objectives.bernoulli import BernoulliConfig
from heddle_platform.base.objectives.critic import CriticConfig
from heddle_platform.base.objectives.information import InformationConfig
from heddle_platform.base.objectives.invariance import InvarianceConfig
from heddle_platform.base.objectives.kl import KlConfig
from heddle_platform.base.objectives.mmd import MmdConfig
from heddle_platform.base.objectives.moments import MomentsConfig
from heddle_platform.base.objectives.perceptual import PerceptualConfig
from heddle_platform.base.objectives.pin import PinConfig
from heddle_platform.base.objectives.reconstruction import ReconstructionConfig
from heddle_platform.base.objectives.total_correlation import TotalCorrelationConfig
from heddle_platform.base.pairs import PairsConfig
from heddle_platform.base.precision import Precision
from heddle_platform.errors import InvalidInput

TermConfig = Annotated[
    ReconstructionConfig
    | BernoulliConfig
    | AutoregressiveConfig
    | PerceptualConfig
    | KlConfig
    | TotalCorrelationConfig
    | CriticConfig
    | MomentsConfig
    | MmdConfig
    | InformationConfig
    | AdaConfig
    | AnchorConfig
    | PinConfig
    | InvarianceConfig,
    Field(discriminator="kind"),
]


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
    depends on its speed. `labels` limits which labels a term may see; `pairs` says how partners are found, for a term
    that needs them (`ada`); `after` isolates the trained latents and becomes part of the exported graphs. `notes` is
    for people; it travels in the manifest, as does `chosen`, how a sweep chose the recipe's values. `compile` is off
    by default: measured on two CPUs, a compiled step took as long as a plain one or longer. `precision` is that of
    the network's products: bfloat16 was 5 times as fast as float32 on a CPU with AVX-512 BF16 (twice the images/s),
    30 times slower on one without; "auto" finds out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    notes: str = ""
    chosen: str = ""
    seed: int = 0
    corpus: CorpusConfig
    network: NetworkConfig = PatchConfig()
    terms: tuple[TermConfig, ...] = (ReconstructionConfig(), KlConfig(), AnchorConfig())
    augment: AugmentConfig = AugmentConfig()
    labels: LabelsConfig | None = None
    pairs: PairsConfig = PairsConfig()
    after: AfterConfig | None = None
    optimiser: OptimiserConfig = OptimiserConfig()
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    threads: int = Field(default=1, ge=1)
    precision: Precision = "float32"
    compile: bool = False
    checkpoint_seconds: float = Field(default=120.0, gt=0)
    evaluate_seconds: float = Field(default=300.0, gt=0)

    @model_validator(mode="after")
    def _one_length(self) -> "Recipe":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give exactly one of steps and minutes")
        return self

    @model_validator(mode="after")
    def _terms_fit(self) -> "Recipe":
        kinds = {term.kind for term in self.terms}
        if "bernoulli" in kinds and self.network.output != "sigmoid":
            raise ValueError("bernoulli needs probabilities: give the network `output: sigmoid`")
        if self.needs_pairs and self.labels is not None and self.labels.moves is not None:
            raise ValueError("labels.moves would move an image away from its partner; leave it or the pairs out")
        if self.needs_pairs and self.optimiser.batch % 2:
            raise ValueError(f"batch is {self.optimiser.batch}, pairs need an even one")
        return self

    @property
    def needs_pairs(self) -> bool:
        """Whether a term wants images beside their partners."""
        return any(isinstance(term, AdaConfig) for term in self.terms)


def read_recipe(document: Any, name: str = "the recipe") -> Recipe:
    """Read a recipe from plain values.

    Raises:
        InvalidInput: code `invalid_recipe`; the sentence names the first faults by field.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(
            f"{name} is not a base recipe: {faults_of(error, 'recipe')}", code="invalid_recipe", param="recipe"
        ) from error


def beta_of(recipe: dict[str, Any]) -> float | None:
    """The weight of a recipe's KL term, or None where it has none."""
    for term in recipe.get("terms", ()):
        if term["kind"] == "kl":
            return float(term["schedule"]["weight"])
    return None


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
