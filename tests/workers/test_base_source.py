"""Bases in a worker: verified when fetched, fetched once per process, known by their digest."""

import pytest

from heddle_platform.errors import DataCorrupt
from heddle_workers.base_source import BaseSource, load_base

from .web import serving
from .world import default_bundle


def source(address: str, digest: str) -> BaseSource:
    return BaseSource(digest, {file: f"{address}/{file}" for file in default_bundle().all_files()})


def test_a_base_is_fetched_once_and_found_by_its_digest() -> None:
    bundle = default_bundle()
    with serving(bundle.all_files()) as address:
        runtime = load_base(source(address, bundle.digest))
    assert runtime.digest == bundle.digest
    assert load_base(source("http://127.0.0.1:1", bundle.digest)) is runtime, "other addresses, same base"
    load_base.cache_clear()


def test_another_base_than_asked_for_is_refused() -> None:
    with serving(default_bundle().all_files()) as address, pytest.raises(DataCorrupt) as caught:
        load_base(source(address, "0" * 64))
    assert caught.value.code == "digest_mismatch"


def test_a_damaged_file_is_refused() -> None:
    bundle = default_bundle()
    files = {**bundle.all_files(), "encoder.onnx": bundle.files["encoder.onnx"][:-1]}
    with serving(files) as address, pytest.raises(DataCorrupt, match=r"encoder\.onnx"):
        load_base(source(address, bundle.digest))
