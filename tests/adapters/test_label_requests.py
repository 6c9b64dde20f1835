"""Tests of the list of images to label."""

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.label_requests import label_requests
from heddle_platform.factors import parse_factor_set

TRIO = parse_factor_set(
    {
        "name": "trio",
        "factors": [
            {"name": "hat", "kind": "binary"},
            {"name": "pose", "kind": "categorical", "levels": ["left", "front", "right"]},
            {"name": "lit", "kind": "binary"},
            {"name": "age", "kind": "continuous", "range": [0, 9]},
        ],
    }
)


def every_cell(times: int) -> NDArray[np.float64]:
    rows = [[hat, pose, lit, 1.0] for hat in range(2) for pose in range(3) for lit in range(2)]
    return np.array(rows * times, dtype=float)


def test_nothing_is_asked_for_where_every_pair_is_seen() -> None:
    assert label_requests(every_cell(5), TRIO) == ((), 0)


def test_one_image_may_fill_several_cells() -> None:
    values_NF = every_cell(5)
    values_NF = values_NF[~((values_NF[:, 0] == 1) & ((values_NF[:, 1] == 2) | (values_NF[:, 2] == 1)))]
    requests, short = label_requests(values_NF, TRIO)
    assert short == 2
    assert len(requests) == 1
    [asked] = requests
    assert asked.levels == {"hat": "on", "pose": "right", "lit": "on"}
    assert (asked.have, asked.wanted, asked.pairs) == (0, 5, 2)
    assert "label 5 more image(s)" in asked.sentence
    assert "pose is 'right'" in asked.sentence


def test_following_the_list_fills_every_cell() -> None:
    random = np.random.default_rng(0)
    columns = [random.integers(levels, size=12).astype(float) for levels in (2, 3, 2, 2)]
    values_NF: NDArray[np.float64] = np.stack(columns, axis=1)
    for _ in range(10):
        requests, short = label_requests(values_NF, TRIO)
        if not short:
            break
        rows = []
        for request in requests:
            row = [0.0, 0.0, 0.0, 1.0]
            for name, level in request.levels.items():
                index = TRIO.names.index(name)
                row[index] = float(TRIO.factors[index].level_names.index(level))  # type: ignore[union-attr]
            rows += [row] * request.wanted
        values_NF = np.vstack([values_NF, rows])
    assert short == 0


def test_unlabelled_images_that_read_so_are_named() -> None:
    values_NF = every_cell(5)
    values_NF = values_NF[~((values_NF[:, 0] == 1) & (values_NF[:, 1] == 2))]
    pool_MF = np.array([[0.0, 2.0, 0.0, 1.0], [1.0, 2.0, 0.0, 1.0], [1.0, 2.0, 1.0, 1.0]])
    [asked], _ = label_requests(values_NF, TRIO, pool_read_MF=pool_MF)
    assert asked.levels == {"hat": "on", "pose": "right"}
    assert asked.pool == (1, 2)
