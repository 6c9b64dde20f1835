"""What would a read that knows the interactions gain over the served one? (Not served: a measurement.)

    python -m tests.bench.joint_read [--labels 100 300 1000] [--draws 3] [--sets avatars_pixelart avatars]

The served read is linear, one factor at a time. The joint read starts from it and re-reads each factor in turn as the
level whose predicted latents (design and product columns, the other factors as read so far) lie nearest by the residual
covariance: two sweeps of coordinate descent on the likelihood of the same closed-form model. The soft read does so once
for all factors at the same time, with the others at their expected design instead of their likeliest level, and with
what is then left unsure of them as noise: two linear maps with one softmax between them. Prints held-out accuracy, mean
over factors and draws, of the served read, of the joint read without and with product columns, and of the soft read.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from heddle_adapters.adapter import Adapter
from heddle_adapters.design import Coding, code_all, column_slices, pseudo_counts
from heddle_adapters.discover import find_interactions, kept
from heddle_adapters.fit import fit_adapter
from heddle_adapters.interaction import product_penalty
from heddle_adapters.linear import noise_without, whitening
from heddle_adapters.read import read
from heddle_adapters.solution import solve
from heddle_adapters.solve import encode_jointly, solve_symmetric
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.factors import parse_factor_set
from tests.bench.interactions import HELD_OUT, SETS, load_set

RIDGE, SWEEPS = 3.0, 2
Floats = NDArray[np.float64]
Pairs = Sequence[tuple[int, int]]


def joint_read(
    adapter: Adapter, taught: tuple[Floats, Floats], pairs: Pairs, latents_BL: Floats, values_BF: Floats
) -> Floats:
    """Re-read values [B, F] from where the linear read left them.

    Args:
        adapter: whose codings to use, all of them levelled.
        taught: latents and labels it was fitted on, none missing.
        pairs: interactions the model may use.
        latents_BL: latents to read.
        values_BF: what the linear read says.
    """
    latents_NL, values_NF = taught
    codings = adapter.codings
    penalty_PP = pseudo_counts(codings, RIDGE)
    penalty_RR = block_diag(penalty_PP, *(product_penalty(penalty_PP, codings, *pair, RIDGE) for pair in pairs))
    encoding = encode_jointly(latents_NL, _columns(values_NF, codings, pairs), penalty_RR, None)
    whiten_LL = whitening(encoding.residual_LL)
    seen_BL, effects_RL = (latents_BL - encoding.mean_L) @ whiten_LL, encoding.effects_PL @ whiten_LL
    values_BF = values_BF.copy()
    for _ in range(SWEEPS):
        for index, coding in enumerate(codings):
            distances = []
            for level in range(coding.levels):
                tried_BF = values_BF.copy()
                tried_BF[:, index] = level
                expected_BL = (_columns(tried_BF, codings, pairs) - encoding.center_P) @ effects_RL
                distances.append(np.square(seen_BL - expected_BL).sum(axis=1))
            values_BF[:, index] = np.argmin(distances, axis=0)
    return values_BF


def soft_read(adapter: Adapter, taught: tuple[Floats, Floats], latents_BL: Floats) -> Floats:
    """Read values [B, F] with the other factors at what the served read expects of them; arguments as `joint_read`."""
    codings = adapter.codings
    solution = solve(*taught, codings, ridge=adapter.ridge, share=adapter.residual_share)
    encoding, blocks = solution.encoding, column_slices(codings)
    readings = read(adapter, latents_BL)
    expected_BP, unsure_PP = np.empty((len(latents_BL), blocks[-1].stop)), np.zeros_like(encoding.design_PP)
    for name, coding, block in zip(adapter.factor_set.names, codings, blocks, strict=True):
        table_KP, share_BK = coding.table_KP - encoding.center_P[block], readings[name].probabilities
        expected_BP[:, block] = share_BK @ table_KP
        unsure_PP[block, block] = table_KP.T @ (share_BK.mean(axis=0)[:, None] * table_KP)
        unsure_PP[block, block] -= expected_BP[:, block].T @ expected_BP[:, block] / len(latents_BL)
    left_BL = latents_BL - encoding.mean_L - expected_BP @ encoding.effects_PL
    noisy = replace(encoding, design_PP=unsure_PP)
    values = []
    for coding, block, count_K in zip(codings, blocks, solution.counts, strict=True):
        means_KL = (coding.table_KP - encoding.center_P[block]) @ encoding.effects_PL[block]
        direction_LK = solve_symmetric(noise_without(noisy, block), means_KL.T)
        scores_BK = (left_BL + expected_BP[:, block] @ encoding.effects_PL[block]) @ direction_LK
        scores_BK += np.log((count_K + 1.0) / (count_K.sum() + len(count_K))) - 0.5 * (means_KL * direction_LK.T).sum(
            axis=1
        )
        values.append(scores_BK.argmax(axis=1))
    return np.stack(values, axis=1).astype(np.float64)


def bench(name: str, base: BaseRuntime, labels: Sequence[int], draws: int) -> None:
    """Print one set's table."""
    stored = load_set(name)
    rows = SETS[name][0]
    used = [np.unique(one, return_inverse=True)[1] for one in stored["factors"].T]
    values_NF = np.stack(used, axis=1)[:rows].astype(np.float64)
    latents_NL = base.encode(stored["images"][:rows]).astype(np.float64)
    names = [str(one) for one in stored["factor_names"]]
    factors = [
        {"name": one, "kind": "categorical", "levels": [str(level) for level in range(int(column.max()) + 1)]}
        for one, column in zip(names, values_NF.T, strict=True)
    ]
    factor_set = parse_factor_set({"name": name, "factors": factors})
    held_BL, truth_BF = latents_NL[-HELD_OUT:], values_NF[-HELD_OUT:]
    print(f"\n| {name}: labels | served read | joint, additive | joint, with interactions | soft | gains most |")
    print("|---|---|---|---|---|---|")
    for count in labels:
        right = []
        for draw in range(draws):
            chosen = np.random.default_rng(draw).permutation(rows - HELD_OUT)[:count]
            taught = latents_NL[chosen], values_NF[chosen]
            pairs = [(one.factor, one.on) for one in kept(find_interactions(*taught, factor_set))]
            adapter = fit_adapter(*taught, factor_set, base_digest=base.digest)
            served_BF = read(adapter, held_BL).values_BF
            joint = [joint_read(adapter, taught, some, held_BL, served_BF) for some in ((), pairs)]
            joint.append(soft_read(adapter, taught, held_BL))
            right.append([(found_BF == truth_BF).mean(axis=0) for found_BF in (served_BF, *joint)])
        right_4F = np.mean(right, axis=0)
        most = np.argsort(right_4F[0] - right_4F.max(axis=0))[:3]
        gains = ", ".join(
            f"{names[index]} {right_4F[0, index]:.2f} -> {right_4F[:, index].max():.2f}" for index in most
        )
        print(f"| {count} | " + " | ".join(f"{one:.3f}" for one in right_4F.mean(axis=1)) + f" | {gains} |", flush=True)


def _columns(values_NF: Floats, codings: Sequence[Coding], pairs: Pairs) -> Floats:
    design_NP = code_all(values_NF, codings)
    blocks = column_slices(codings)
    products = [
        (design_NP[:, blocks[factor]][:, :, None] * design_NP[:, blocks[on]][:, None, :]).reshape(len(design_NP), -1)
        for factor, on in pairs
    ]
    return np.hstack([design_NP, *products])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 300, 1_000])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=["avatars_pixelart", "avatars"])
    options = parser.parse_args()
    shipped = BaseRuntime.from_bundle(load_bundle(default_bundle_path()))
    for chosen in options.sets:
        bench(chosen, shipped, options.labels, options.draws)
