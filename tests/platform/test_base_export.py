"""Export: both graphs and the weights file are the network, proved before a bundle exists."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from heddle_platform.base.batches import to_float
from heddle_platform.base.bundle import DECODER, ENCODER, BaseBundle
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Corpus, build_corpus
from heddle_platform.base.export import (
    ParityError,
    check_parity,
    export_bundle,
    latent_statistics,
    network_from_bundle,
    round_weights,
)
from heddle_platform.base.network import Network
from heddle_platform.base.runtime import BaseRuntime

RECIPE = Recipe.model_validate(
    {
        "name": "tiny",
        "corpus": {"images": {"dylan": 12, "dsprites": 12}, "held_out": 8, "processes": 1},
        "network": {
            "latents": 6, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
            "encoder_blocks": 1, "decoder_blocks": 1,
        },
        "steps": 1,
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return build_corpus(RECIPE.corpus, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    return Network(RECIPE.network)


@pytest.fixture(scope="module")
def bundle(corpus: Corpus, network: Network) -> BaseBundle:
    return export_bundle(network, RECIPE, corpus, steps=1)


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_graphs_equal_torch(bundle: BaseBundle, network: Network, batch: int) -> None:
    rounded = round_weights(network)
    images = torch.rand(batch, 3, 64, 64, generator=torch.Generator().manual_seed(batch))
    encoder, decoder = (onnxruntime.InferenceSession(bundle.files[name]) for name in (ENCODER, DECODER))
    with torch.inference_mode():
        mean = rounded.encoder(images)[0]
        decoded = rounded.decoder(mean).clamp(0, 1)
    np.testing.assert_allclose(encoder.run(None, {"image": images.numpy()})[0], mean, atol=1e-5)
    np.testing.assert_allclose(decoder.run(None, {"latent": mean.numpy()})[0], decoded, atol=1e-4)


def test_contract_of_the_graphs(bundle: BaseBundle) -> None:
    encoder, decoder = (onnx.load_from_string(bundle.files[name]) for name in (ENCODER, DECODER))
    assert [value.name for value in encoder.graph.input] == ["image"]
    assert [value.name for value in encoder.graph.output] == ["latent"]
    assert [value.name for value in decoder.graph.input] == ["latent"]
    assert [value.name for value in decoder.graph.output] == ["image"]
    assert {entry.domain: entry.version for entry in encoder.opset_import}[""] == 20
    assert encoder.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_large_weights_are_stored_in_half_precision(bundle: BaseBundle) -> None:
    for name in (ENCODER, DECODER):
        tensors = onnx.load_from_string(bundle.files[name]).graph.initializer
        single = [len(onnx.numpy_helper.to_array(t).ravel()) for t in tensors if t.data_type == onnx.TensorProto.FLOAT]
        assert max(single, default=0) < 16


def test_graphs_do_not_name_the_machine_they_were_made_on(bundle: BaseBundle) -> None:
    here = str(Path(__file__).parents[2]).encode()
    for name in (ENCODER, DECODER):
        assert here not in bundle.files[name]
        assert b"site-packages" not in bundle.files[name]


@pytest.mark.parametrize("image_size", [32, 64, 128])
@pytest.mark.parametrize("kind", ["patch", "convolution"])
def test_every_network_and_size_exports_grey_or_rgb(kind: str, image_size: int, corpus: Corpus) -> None:
    sizes = {"patch": RECIPE.network.model_dump(), "convolution": {"latents": 6, "maps": (4, 4, 8, 8), "hidden": 16}}
    # One of both kinds is grey at each size.
    channels = 1 if (kind == "patch") == (image_size == 64) else 3
    entry = {**sizes[kind], "kind": kind, "image_size": image_size, "channels": channels}
    recipe = Recipe.model_validate({**RECIPE.model_dump(), "network": entry})
    torch.manual_seed(3)
    bundle = export_bundle(Network(recipe.network), recipe, corpus, steps=1)
    manifest = bundle.manifest
    assert (manifest.image_size, manifest.channels) == (image_size, channels)
    # Figures of the parity that `export_bundle` insists on, at batches of 1, 2, 7 and 64.
    assert manifest.metrics.parity_latent <= 1e-5
    assert manifest.metrics.parity_image <= 1e-4
    runtime = BaseRuntime.from_bundle(bundle)
    images = np.random.default_rng(0).integers(0, 256, (2, image_size, image_size, 3), dtype=np.uint8)
    drawn = runtime.decode(runtime.encode(images))
    assert drawn.shape == (2, image_size, image_size, 3)
    if channels == 1:
        np.testing.assert_array_equal(drawn[..., 0], drawn[..., 2])
        grey = network_from_bundle(bundle).encoder(to_float(images, 1))[0].detach()
        np.testing.assert_allclose(runtime.encode(images) * runtime.std_L + runtime.mean_L, grey, atol=1e-4)


def test_weights_file_is_the_same_network(bundle: BaseBundle, network: Network) -> None:
    rounded, loaded = round_weights(network).state_dict(), network_from_bundle(bundle).state_dict()
    assert loaded.keys() == rounded.keys()
    assert all(torch.equal(loaded[name], rounded[name]) for name in rounded)


def test_a_graph_of_another_network_is_refused(bundle: BaseBundle, corpus: Corpus) -> None:
    torch.manual_seed(4)
    other = round_weights(Network(RECIPE.network))
    images = to_float(corpus.held_out[0].images)
    graphs = {name: bundle.files[name] for name in (ENCODER, DECODER)}
    with pytest.raises(ParityError, match="ONNX latents differ from torch by"):
        check_parity(other, graphs, images, np.ones(6, dtype=np.float32))


def test_statistics_standardise_the_training_images(bundle: BaseBundle, corpus: Corpus) -> None:
    latents = BaseRuntime.from_bundle(bundle).encode(np.concatenate([part.images for part in corpus.parts]))
    np.testing.assert_allclose(latents.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(latents.std(axis=0, ddof=1), 1, atol=1e-3)


def test_statistics_do_not_depend_on_the_order_of_evaluation(network: Network, corpus: Corpus) -> None:
    first, second = (latent_statistics(network, corpus, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_manifest_tells_the_story(bundle: BaseBundle, tmp_path: Path) -> None:
    manifest = bundle.manifest
    assert manifest.corpus.styles == ("dylan", "dsprites")
    assert Recipe.model_validate(manifest.recipe) == RECIPE
    assert manifest.metrics.parity_latent <= 1e-5
    assert set(manifest.metrics.mse) == {"dylan", "dsprites"}
