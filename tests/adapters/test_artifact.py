import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import digest_of, pack, unpack
from heddle_platform.errors import DataCorrupt


def test_what_was_packed_comes_back(adapter: Adapter) -> None:
    chosen = adapter.with_gains({"lit": 1.5}).with_detail({"shape": "preserve"}).with_refused(["age"])
    again = unpack(pack(chosen))
    assert again.factor_set == chosen.factor_set
    assert again.codings == chosen.codings
    assert (again.refused, again.detail, again.radius) == (("age",), chosen.detail, chosen.radius)
    for name in ("read_LC", "write_PL", "gain_F", "live_L", "whiten_LL"):
        assert np.array_equal(getattr(again, name), getattr(chosen, name))
        assert getattr(again, name).dtype == getattr(chosen, name).dtype
        assert not getattr(again, name).flags.writeable
    assert pack(again) == pack(chosen)


def test_another_gain_is_another_digest(adapter: Adapter) -> None:
    assert digest_of(pack(adapter)) != digest_of(pack(adapter.with_gains({"lit": 1.25})))


def test_no_clock_and_no_pickle_inside(adapter: Adapter) -> None:
    with zipfile.ZipFile(io.BytesIO(pack(adapter))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_flipped_byte_is_noticed(adapter: Adapter, where: float) -> None:
    data = bytearray(pack(adapter))
    data[int(where * len(data))] ^= 0xFF
    with pytest.raises(DataCorrupt):
        unpack(bytes(data))


def test_truncated_and_foreign_bytes_are_refused(adapter: Adapter) -> None:
    for data in (b"", b"PK", pack(adapter)[:-100], b"\x80\x04."):
        with pytest.raises(DataCorrupt) as error:
            unpack(data)
        assert error.value.code == "adapter_corrupt"


def test_a_format_of_later_days_is_named(adapter: Adapter) -> None:
    source, out = zipfile.ZipFile(io.BytesIO(pack(adapter))), io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith(".json"):
                header = json.loads(data)
                data = json.dumps({**header, "format": 99}).encode()
            archive.writestr(name, data)
    with pytest.raises(DataCorrupt, match="this program reads up to") as error:
        unpack(out.getvalue())
    assert error.value.code == "unknown_format"


def test_matrices_that_do_not_belong_to_the_header_are_refused(adapter: Adapter) -> None:
    source = zipfile.ZipFile(io.BytesIO(pack(adapter)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name == "write_PL.npy":
                piece = io.BytesIO()
                np.save(piece, np.zeros((2, 16), np.float32))
                data = piece.getvalue()
            archive.writestr(name, data)
    with pytest.raises(DataCorrupt, match="write_PL has shape"):
        unpack(out.getvalue())


PROGRAM = """
import numpy as np
from tests.adapters.conftest import make_entwined
from heddle_adapters.artifact import digest_of, pack
from heddle_adapters.discover import find_interactions, kept
from heddle_adapters.export import to_onnx
from heddle_adapters.fit import fit_adapter
from heddle_adapters.statistics import gather, pack_statistics

drawn = make_entwined(rows=600, noise=0.1)
lost = np.random.default_rng(1).random(drawn.values_NF.shape) < 0.1
values = np.where(lost, np.nan, drawn.values_NF)
pairs = kept(find_interactions(drawn.latents_NL, values, drawn.factor_set))
assert pairs
fitted = fit_adapter(drawn.latents_NL, values, drawn.factor_set, base_digest="b" * 64, interactions=pairs)
sums = gather(drawn.latents_NL, values, drawn.factor_set, fitted.codings, base_digest="b" * 64, ridge=fitted.ridge)
print(*map(digest_of, (pack(fitted), to_onnx(fitted), pack_statistics(sums))))
"""


def test_every_process_writes_the_same_bytes() -> None:
    root = Path(__file__).resolve().parents[2]
    found = set()
    for threads, seed in (("1", "0"), ("2", "1"), ("2", "random")):
        variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=root,
            env={**os.environ, **variables, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found.add(ran.stdout)
    assert len(found) == 1
    assert len(set(found.pop().split())) == 3
