"""What a set is kept as: no metadata in it, orientations honoured, nothing rewritten that is plain already."""

import io

import numpy as np
from PIL import Image

from heddle_platform.archive import open_archive
from heddle_platform.factors import FactorSet
from heddle_platform.labels import FaultReport
from heddle_platform.manifest import Manifest
from heddle_platform.pixels import decode

from .conftest import good_set, packed, upload_of
from .validation import KEPT, validated

WHERE = b"53.5511 N, 9.9937 E"


def phone_photo(turn: int = 6) -> bytes:
    """Return a JPEG 20 wide and 12 high that lies on its side and says where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = turn
    exif[0x010E] = WHERE.decode()
    out = io.BytesIO()
    image = np.zeros((12, 20, 3), dtype=np.uint8)
    image[:, :10] = 255
    Image.fromarray(image).save(out, "JPEG", exif=exif.tobytes(), quality=95)
    return out.getvalue()


def test_metadata_is_cut_out_and_the_orientation_carried_out(factor_set: FactorSet) -> None:
    data = packed({**good_set(), "2.png": phone_photo(), "extra.jpg": phone_photo(1)})
    found = validated(data, factor_set)
    assert found.report["errors"] == []
    assert found.report["stripped"] == 2
    assert [warning["count"] for warning in found.report["warnings"] if warning["code"] == "metadata_removed"] == [2]
    kept = KEPT[-1]
    assert WHERE in phone_photo()
    assert WHERE not in kept
    assert found.digest == upload_of(kept).sha256 != upload_of(data).sha256
    assert found.manifest is not None
    manifest = Manifest.from_bytes(found.manifest)
    with open_archive(upload_of(kept).file, FaultReport(), max_images=50) as archive:
        photo = archive.read("2.png", max_bytes=100_000)
    assert upload_of(photo).sha256 == manifest.rows[2].sha256
    upright = decode(photo, max_bytes=100_000, max_pixels=10_000)
    assert upright.shape == (20, 12, 3)
    assert upright[:8].mean() > 200 > 50 > upright[12:].mean()
    # the set that is kept validates to itself
    again = validated(kept, factor_set)
    assert (again.digest, again.parts) == (found.digest, ())
    assert again.manifest == found.manifest


def test_a_plain_zip_is_kept_as_it_came(factor_set: FactorSet) -> None:
    before = len(KEPT)
    data = packed(good_set())
    found = validated(data, factor_set)
    assert (found.digest, found.parts, len(KEPT)) == (upload_of(data).sha256, (), before)


def test_nothing_of_a_faulty_set_is_kept(factor_set: FactorSet) -> None:
    before = len(KEPT)
    found = validated(packed({**good_set(), "2.png": phone_photo(), "3.png": b"broken"}), factor_set)
    assert (found.manifest, found.parts, len(KEPT)) == (None, (), before)


def test_the_report_tells_sizes_balance_look_alikes_and_what_goes_together(factor_set: FactorSet) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    big = Image.fromarray(photo).resize((90, 70), Image.Resampling.NEAREST)

    def saved(kind: str) -> bytes:
        out = io.BytesIO()
        big.save(out, kind, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
        return out.getvalue()

    lines = [f"{index}.png,{'none' if index % 2 else 'round'},{index % 2},{index}" for index in range(38)]
    lines += ["a.png,square,1,5", "b.jpg,square,0,5"]
    entries = {name: data for name, data in good_set(38).items() if name != "labels.csv"}
    text = "\n".join(["file,glasses,smile,age", *lines]).encode()
    found = validated(
        packed({**entries, "a.png": saved("PNG"), "b.jpg": saved("JPEG"), "labels.csv": text}), factor_set
    )
    report = found.report
    assert report["errors"] == []
    assert report["sizes"] == {"smallest": 8, "largest": 90, "small": 38}
    assert report["balance"]["glasses"]["share"] == round(19 / 40, 4)
    assert report["twins"] == {
        "count": 1,
        "differently_labelled": 1,
        "pairs": [{"file": "b.jpg", "like": "a.png", "same_labels": False}],
    }
    pair = next(pair for pair in report["associations"] if {pair["first"], pair["second"]} == {"glasses", "smile"})
    assert pair["table"] == [[0, 19], [19, 0], [1, 1]]
    assert (pair["empty_cells"], pair["cells"]) == (2, 6)
    assert pair["value"] > 0.9
    codes = {warning["code"] for warning in report["warnings"]}
    assert codes == {"look_alikes", "small_images", "rare_level", "correlated_labels", "empty_cells"}


def test_weights_stay_in_the_set_that_is_kept(factor_set: FactorSet) -> None:
    entries = {**good_set(), "2.png": phone_photo()}
    header, *lines = entries["labels.csv"].decode().splitlines()
    weights = ["2", "", "0.5", "1", "1", "1"]
    rows = [f"{line},{weight}" for line, weight in zip(lines, weights, strict=True)]
    entries["labels.csv"] = "\n".join([f"{header},weight", *rows]).encode()
    found = validated(packed(entries), factor_set)
    again = validated(KEPT[-1], factor_set)
    assert found.report["weights"] == again.report["weights"]
    assert again.manifest == found.manifest
    assert again.digest == found.digest
