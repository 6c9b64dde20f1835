"""Bundles: addressed by content, whole or refused."""

from pathlib import Path

import pytest

from heddle_platform.base.bundle import (
    FILES,
    MANIFEST,
    BaseBundle,
    BaseManifest,
    BaseMetrics,
    CorpusSummary,
    default_bundle_path,
    load_bundle,
    parse_bundle,
    write_bundle,
)
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import DataCorrupt, NotFound

CONTENTS = {name: name.encode() * 100 for name in FILES}


def bundle(name: str = "tiny", contents: dict[str, bytes] | None = None) -> BaseBundle:
    data = contents or CONTENTS
    manifest = BaseManifest(
        name=name,
        image_size=64,
        latents=2,
        latent_mean=(0.25, -1.5),
        latent_std=(1.0, 2.0),
        recipe={"seed": 1},
        corpus=CorpusSummary(images={"dylan": 10}, seed=0),
        metrics=BaseMetrics(
            mse={"dylan": 0.01},
            active_units=2,
            kl_per_latent=(1.0, 2.0),
            steps=5,
            parity_latent=0.0,
            parity_image=0.0,
        ),
        code_version="1",
        trained_at="2026-11-22T00:00:00Z",
        files={file: sha256_hex(data[file]) for file in FILES},
    )
    return BaseBundle(manifest, data)


def test_round_trip(tmp_path: Path) -> None:
    write_bundle(bundle(), tmp_path / "base")
    assert load_bundle(tmp_path / "base") == bundle()


def test_digest_is_the_manifest_files_digest(tmp_path: Path) -> None:
    write_bundle(bundle(), tmp_path / "base")
    assert bundle().digest == sha256_hex((tmp_path / "base" / MANIFEST).read_bytes())


def test_digest_covers_every_file() -> None:
    changed = {**CONTENTS, FILES[0]: b"other"}
    assert bundle(contents=changed).digest != bundle().digest
    assert bundle(name="other").digest != bundle().digest


def test_all_files_ends_with_the_manifest() -> None:
    assert list(bundle().all_files()) == [*FILES, MANIFEST]
    assert parse_bundle(bundle().all_files()) == bundle()


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    write_bundle(bundle(), tmp_path / "base")
    data = bytearray((tmp_path / "base" / name).read_bytes())
    data[7] ^= 1
    (tmp_path / "base" / name).write_bytes(data)
    with pytest.raises(DataCorrupt, match=rf"{name} of base tiny has digest {sha256_hex(bytes(data))}"):
        load_bundle(tmp_path / "base")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_bundle(bundle(), tmp_path / "base")
    (tmp_path / "base" / FILES[1]).unlink()
    with pytest.raises(DataCorrupt, match=rf"lacks {FILES[1]}"):
        load_bundle(tmp_path / "base")


def test_no_manifest_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not a base bundle"):
        load_bundle(tmp_path / "nowhere")


def test_a_manifest_that_contradicts_itself_is_refused() -> None:
    contents = bundle().all_files()
    contents[MANIFEST] = contents[MANIFEST].replace(b'"latents":2', b'"latents":3')
    with pytest.raises(DataCorrupt, match="latent_mean has 2 values, the base 3 latents"):
        parse_bundle(contents)


def test_writing_replaces_the_older_bundle_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_bundle(bundle("old"), tmp_path / "base")
    write_bundle(bundle("new"), tmp_path / "base")
    assert load_bundle(tmp_path / "base").manifest.name == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_the_shipped_base_is_whole_and_small() -> None:
    shipped = load_bundle(default_bundle_path())
    assert shipped.manifest.name == "default"
    assert sum(len(data) for data in shipped.all_files().values()) <= 15_000_000
