"""Isolation after training: independent sources come back, inverses are exact, bundles contain the map."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from heddle_adapters.scores.mig import mig
from heddle_platform.base.batches import to_float
from heddle_platform.base.bundle import DECODER, ENCODER
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import build_corpus, resident_parts
from heddle_platform.base.export import export_bundle, network_from_bundle
from heddle_platform.base.isolation.fastica import FastIcaConfig, fit_fastica
from heddle_platform.base.isolation.flow import Flow, FlowConfig, fit_flow
from heddle_platform.base.isolation.isolated import Isolated, fit_mapping
from heddle_platform.base.network import Network

RECIPE = {
    "name": "tiny",
    "corpus": {"images": {"dsprites": 300}, "held_out": 8, "processes": 1},
    "network": {
        "latents": 4, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "steps": 1,
}  # fmt: skip


def sources(count: int = 4000) -> Tensor:
    """Uniform, two-valued with noise, Laplace and triangular: variance 1, none of them Gaussian."""
    rng = np.random.default_rng(0)
    columns = [
        rng.uniform(-1, 1, count),
        rng.choice([-1.0, 1.0], count) + 0.2 * rng.normal(size=count),
        rng.laplace(size=count),
        np.abs(rng.uniform(-1, 1, count)),
    ]
    stacked = np.stack([(column - column.mean()) / column.std() for column in columns], axis=1)
    return torch.from_numpy(stacked.astype(np.float32))


def mixing(size: int = 4) -> Tensor:
    return torch.randn(size, size, generator=torch.Generator().manual_seed(1)) + torch.eye(size)


def agreement(found_NL: Tensor, true_NL: Tensor) -> Tensor:
    """|correlation| of every found component with every source, [found, true]."""
    both = torch.corrcoef(torch.cat([found_NL, true_NL], dim=1).T)
    return both[: found_NL.shape[1], found_NL.shape[1] :].abs()


def test_fastica_recovers_mixed_sources_up_to_order_and_sign() -> None:
    true = sources()
    found = fit_fastica(FastIcaConfig(), true @ mixing().T + 3)(true @ mixing().T + 3)
    match = agreement(found, true)
    assert sorted(match.argmax(dim=1).tolist()) == [0, 1, 2, 3]
    assert float(match.max(dim=1).values.min()) > 0.99
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.var(dim=0), torch.ones(4), atol=1e-2, rtol=0)


def test_sources_that_are_not_mixed_keep_their_places_and_signs() -> None:
    true = sources()
    found = fit_fastica(FastIcaConfig(), true * torch.tensor([2.0, 0.5, 1.0, 3.0]))(
        true * torch.tensor([2.0, 0.5, 1.0, 3.0])
    )
    assert float(torch.corrcoef(torch.cat([found, true], dim=1).T)[:4, 4:].diagonal().min()) > 0.99


def test_dead_latents_are_left_alone() -> None:
    true = sources()
    latents = torch.cat([true[:, :2] @ mixing(2).T, 0.01 * true[:, 2:3], torch.zeros(len(true), 1)], dim=1)
    mapping = fit_fastica(FastIcaConfig(), latents)
    torch.testing.assert_close(mapping(latents)[:, 2:], latents[:, 2:])
    assert float(agreement(mapping(latents)[:, :2], true[:, :2]).max(dim=1).values.min()) > 0.99
    torch.testing.assert_close(mapping.inverse(mapping(latents)), latents, atol=1e-5, rtol=0)


def test_a_code_of_dead_latents_stays_as_it_is() -> None:
    latents = torch.zeros(50, 3)
    assert torch.equal(fit_fastica(FastIcaConfig(), latents)(latents), latents)


def test_the_linear_map_carries_variances_exactly() -> None:
    true = sources()
    mapping = fit_fastica(FastIcaConfig(), true @ mixing().T)
    noise = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(2)) * torch.tensor([0.1, 0.2, 0.3, 0.4])
    logvar = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).square().log()
    spread = mapping(true[:1] + noise).var(dim=0)
    torch.testing.assert_close(mapping.log_variance(true[:1], logvar)[0].exp(), spread, rtol=0.05, atol=0)


def bent(true: Tensor) -> Tensor:
    """Every second latent moved by the one before: dependent, though hardly correlated."""
    moved = true.clone()
    moved[:, 1] += 0.8 * true[:, 0].square()
    moved[:, 3] = true[:, 3] * torch.exp(0.4 * true[:, 2].clamp(-2, 2))
    return moved


def test_a_flow_undoes_itself_exactly() -> None:
    torch.manual_seed(0)
    flow = fit_flow(FlowConfig(steps=50), bent(sources()))
    for coupling in flow.couplings:
        # Far from the identity it starts as.
        torch.nn.init.normal_(coupling.change.weight, std=0.3)  # type: ignore[union-attr, arg-type]
    # In double precision: what single precision rounds away depends on the processor. The matrices stay single ones.
    flow, latents = flow.double(), 2 * torch.randn(500, 4, dtype=torch.float64)
    assert float((flow.inverse(flow(latents)) - latents).abs().max()) < 1e-5
    assert float((flow(flow.inverse(latents)) - latents).abs().max()) < 1e-5


def test_a_flow_starts_as_its_rotation_and_ends_more_independent() -> None:
    true = sources()
    latents = bent(true)
    start = fit_flow(FlowConfig(steps=0), latents)
    torch.testing.assert_close(start(latents), fit_fastica(FastIcaConfig(), latents)(latents))
    after = fit_flow(FlowConfig(steps=600), latents)

    def tells(code: Tensor) -> float:
        # The dependence that was bent in: a latent on the square of another.
        square = code.square()
        both = torch.corrcoef(torch.cat([code, square - square.mean(dim=0)], dim=1).T)[:4, 4:].abs()
        return float((both - torch.diag(both.diagonal())).max())

    assert tells(after(latents)) < 0.5 * tells(start(latents))


@pytest.mark.parametrize("config", [FastIcaConfig(), FlowConfig(steps=200)], ids=lambda config: config.kind)
def test_mig_of_rotated_independent_codes_rises(config: FastIcaConfig | FlowConfig) -> None:
    rng = np.random.default_rng(3)
    factors = np.stack([rng.integers(levels, size=4000) for levels in (3, 6, 8)], axis=1)
    codes = (factors - factors.mean(axis=0)) / factors.std(axis=0) + 0.05 * rng.normal(size=factors.shape)
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    rotated = torch.from_numpy((codes @ turn.T).astype(np.float32))
    isolated = fit_mapping(config, rotated)(rotated)
    before, after, best = (mig(np.asarray(each), factors).value for each in (rotated, isolated, codes))
    assert before < 0.3
    assert after > 0.9 * best


@pytest.mark.parametrize("after", [{"kind": "fastica"}, {"kind": "flow", "steps": 20}], ids=lambda entry: entry["kind"])
def test_the_bundle_contains_the_map(after: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**RECIPE, "after": after})
    corpus = build_corpus(recipe.corpus, cache_dir=tmp_path)
    torch.manual_seed(0)
    network = Network(recipe.network)
    with torch.no_grad():
        # An untrained encoder's latents are nearly dead.
        network.encoder.mean.weight *= 30
    bundle = export_bundle(network, recipe, corpus, steps=1)
    loaded = network_from_bundle(bundle)
    assert isinstance(loaded, Isolated)
    images = to_float(corpus.held_out[0].images)
    encoder, decoder = (onnxruntime.InferenceSession(bundle.files[name]) for name in (ENCODER, DECODER))
    latents = encoder.run(None, {"image": images.numpy()})[0]
    with torch.no_grad():
        np.testing.assert_allclose(loaded.encoder(images)[0], latents, atol=1e-5)
        # What comes out of the decoder's graph is the plain network's own reconstruction.
        own = loaded.decoder.decoder(loaded.encoder.encoder(images)[0]).clamp(0, 1)
    np.testing.assert_allclose(decoder.run(None, {"latent": latents})[0], own, atol=1e-4)
    sample = (
        np.concatenate([part.images for part in resident_parts(corpus)]).astype(np.float32).transpose(0, 3, 1, 2) / 255
    )
    every = encoder.run(None, {"image": sample})[0]
    if after["kind"] == "fastica":
        np.testing.assert_allclose(np.cov(every.T), np.eye(4), atol=2e-2)


def test_a_flow_of_one_shape_loads_into_another_like_it() -> None:
    config = FlowConfig(steps=10)
    fitted, blank = fit_flow(config, bent(sources())), Flow(config, 4)
    blank.load_state_dict(fitted.state_dict())
    latents = torch.randn(5, 4)
    torch.testing.assert_close(blank(latents), fitted(latents))
