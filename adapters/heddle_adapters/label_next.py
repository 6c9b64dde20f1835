"""What to label next: images chosen one after the other, each with the reason that spoke loudest for it.

Four reasons compete, each worth 0 to 1: a level that has hardly any labels (the image reads as that level), a pair of
levels never labelled together (it reads as both), a reading that is unsure, and a place among the latents where nothing
is labelled (leverage). What a chosen image would bring is taken off what the next ones can: level and pair counts
rise by the probability that it is one, and leverage falls by the rank-one update of the labelled rows' precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.design import Coding, score_slices
from heddle_adapters.read import softmax
from heddle_adapters.solution import level_counts
from heddle_platform.factors import FactorSet, LevelledFactor

ReasonKind = Literal["rare_level", "empty_cell", "uncertainty", "leverage"]
ENOUGH_PER_LEVEL = 10
ENOUGH_PER_CELL = 5
TIRED = 0.8  # what is left of a factor's uncertainty as a reason once it was given
_RIDGE = 1.0  # imagined rows per latent in the leverage
_LEAST_PAIR = 0.1  # probability under which a pair is no reason
_MOST_LEVELS = 12  # factors with more make no cells: most of their pairs are empty for good


@dataclass(frozen=True)
class Next:
    """One image worth labelling.

    Attributes:
        row: its place among the candidates, or among all images once a preview returns it.
        reason: the kind that spoke loudest.
        value: how loud, 0 to 1.
        sentence: why, with the numbers.
        factors: factors it should be labelled for above all.
    """

    row: int
    reason: ReasonKind
    value: float
    sentence: str
    factors: tuple[str, ...]


@dataclass(frozen=True)
class _Cell:
    first: int
    second: int
    first_level: int
    second_level: int


def label_next(
    latents_NL: Floats,
    values_NF: Floats,
    candidates_ML: Floats,
    candidate_values_MF: Floats,
    factor_set: FactorSet,
    codings: Sequence[Coding],
    read: tuple[Floats, Floats],
    scores: Mapping[str, float],
    count: int,
) -> list[Next]:
    """Choose images.

    Args:
        latents_NL, values_NF: labelled rows, NaN where a label is missing.
        candidates_ML, candidate_values_MF: images that miss labels.
        factor_set: the factors that can be fitted.
        codings: per factor.
        read: score directions and offsets.
        scores: out-of-fold score per factor, for the sentences.
        count: how many.
    """
    if not len(candidates_ML):
        return []
    chooser = _Chooser(latents_NL, values_NF, candidates_ML, candidate_values_MF, factor_set, codings, read, scores)
    return [chooser.choose() for _ in range(min(count, len(candidates_ML)))]


class _Chooser:
    """Greedy choice; holds what changes from one choice to the next."""

    def __init__(
        self,
        latents_NL: Floats,
        values_NF: Floats,
        candidates_ML: Floats,
        candidate_values_MF: Floats,
        factor_set: FactorSet,
        codings: Sequence[Coding],
        read: tuple[Floats, Floats],
        scores: Mapping[str, float],
    ) -> None:
        self._factors = factor_set.factors
        self._scores = scores
        self._labelled = len(latents_NL)
        self._open_M = np.ones(len(candidates_ML), dtype=np.bool_)
        self._missing_MF: Mask = np.isnan(candidate_values_MF)
        logits_MC = candidates_ML @ read[0] + read[1]
        self._chances = [
            _chance(logits_MC[:, block], candidate_values_MF[:, place])
            if coding.levels
            else np.empty((len(logits_MC), 0))
            for place, (coding, block) in enumerate(zip(codings, score_slices(codings), strict=True))
        ]
        self._counts = [level_counts(values_NF[:, place], coding) for place, coding in enumerate(codings)]
        self._cells = _empty_cells(values_NF, codings)
        self._wanted = dict.fromkeys(self._cells, float(ENOUGH_PER_CELL))
        self._energy = [1.0] * len(codings)
        mean_L = latents_NL.mean(axis=0)
        rows_NL, self._rows_ML = latents_NL - mean_L, candidates_ML - mean_L
        precision_LL = np.linalg.inv(rows_NL.T @ rows_NL + _RIDGE * np.eye(len(mean_L)))
        self._solved_ML = self._rows_ML @ precision_LL
        self._leverage_M = (self._solved_ML * self._rows_ML).sum(axis=1)
        own_N = ((rows_NL @ precision_LL) * rows_NL).sum(axis=1)
        own_N = own_N / (1.0 - own_N)  # as if each were not among the labelled rows, which candidates are not
        self._typical, self._high = float(np.median(own_N)), float(np.quantile(own_N, 0.95))

    def choose(self) -> Next:
        """Return the best image still open, and count it as labelled."""
        offers = [*self._rare(), *self._pairs(), *self._unsure(), self._far()]
        values = np.array([np.where(self._open_M, offer[0], -1.0).max() for offer in offers])
        value_M, kind, places, levels = offers[int(values.argmax())]
        row = int(np.where(self._open_M, value_M, -1.0).argmax())
        sentence = self._sentence(kind, row, places, levels)
        missing = [self._factors[place].name for place in np.flatnonzero(self._missing_MF[row])]
        first = [self._factors[place].name for place in places]
        chosen = Next(row, kind, round(float(max(value_M[row], 0.0)), 4), sentence, tuple(first or missing))
        self._take(row, kind, places)
        return chosen

    def _rare(self) -> list[tuple[Floats, ReasonKind, tuple[int, ...], tuple[int, ...]]]:
        offers: list[tuple[Floats, ReasonKind, tuple[int, ...], tuple[int, ...]]] = []
        for place, chance_MK in enumerate(self._chances):
            for level in range(chance_MK.shape[1]):
                lack = 1.0 - self._counts[place][level] / ENOUGH_PER_LEVEL
                if lack > 0:
                    value_M = lack * chance_MK[:, level] * self._missing_MF[:, place]
                    offers.append((value_M, "rare_level", (place,), (level,)))
        return offers

    def _pairs(self) -> list[tuple[Floats, ReasonKind, tuple[int, ...], tuple[int, ...]]]:
        offers: list[tuple[Floats, ReasonKind, tuple[int, ...], tuple[int, ...]]] = []
        for cell in self._cells:
            places = (cell.first, cell.second)
            missing_M = self._missing_MF[:, places].any(axis=1)
            both_M = self._chances[cell.first][:, cell.first_level] * self._chances[cell.second][:, cell.second_level]
            value_M = np.where((both_M >= _LEAST_PAIR) & missing_M, both_M, 0.0)
            value_M = value_M * self._wanted[cell] / ENOUGH_PER_CELL
            offers.append((value_M, "empty_cell", places, (cell.first_level, cell.second_level)))
        return offers

    def _unsure(self) -> list[tuple[Floats, ReasonKind, tuple[int, ...], tuple[int, ...]]]:
        offers: list[tuple[Floats, ReasonKind, tuple[int, ...], tuple[int, ...]]] = []
        for place, chance_MK in enumerate(self._chances):
            if chance_MK.shape[1]:
                top_M2 = np.sort(chance_MK, axis=1)[:, -2:]
                value_M = (1.0 - (top_M2[:, 1] - top_M2[:, 0])) * self._missing_MF[:, place]
                # what is read well already has little to learn from its doubtful cases
                doubt = self._energy[place] * (1.0 - max(self._scores[self._factors[place].name], 0.0)) ** 0.5
                offers.append((doubt * value_M, "uncertainty", (place,), ()))
        return offers

    def _far(self) -> tuple[Floats, ReasonKind, tuple[int, ...], tuple[int, ...]]:
        # 0 where labelled images lie as well, near one half far outside: the other reasons say what would be learnt,
        # this one only that something would
        beyond_M = np.maximum(self._leverage_M / max(self._high, 1e-12) - 1.0, 0.0)
        return 0.5 * beyond_M / (1.0 + beyond_M), "leverage", (), ()

    def _sentence(self, kind: ReasonKind, row: int, places: tuple[int, ...], levels: tuple[int, ...]) -> str:
        total = self._labelled
        if kind == "leverage":
            return (
                f"nothing like it is labelled: its leverage is {self._leverage_M[row]:.2f}, that of a typical labelled "
                f"image {self._typical:.2f}, and 95 % of {total} lie below {self._high:.2f}"
            )
        if kind == "uncertainty":
            chance_K = self._chances[places[0]][row]
            second, best = (int(level) for level in np.argsort(chance_K)[-2:])
            name = self._factors[places[0]].name
            return (
                f"{name} is unsure: {self._level(places[0], best)} {chance_K[best]:.2f}, "
                f"{self._level(places[0], second)} {chance_K[second]:.2f}; "
                f"out of fold {name} is read right in {self._scores[name]:.0%} of images"
            )
        named = [
            f"{self._factors[place].name} = {self._level(place, level)}"
            for place, level in zip(places, levels, strict=True)
        ]
        chances = [self._chances[place][row, level] for place, level in zip(places, levels, strict=True)]
        if kind == "rare_level":
            count = self._counts[places[0]][levels[0]]
            return (
                f"it reads as {named[0]} (probability {chances[0]:.2f}), a level with about {count:.0f} labelled "
                f"image(s) of {total}; {ENOUGH_PER_LEVEL} are wanted"
            )
        return (
            f"it reads as {named[0]} ({chances[0]:.2f}) and {named[1]} ({chances[1]:.2f}), a pair that 0 of {total} "
            f"labelled images show; without {ENOUGH_PER_CELL} of it the two edits cannot be told apart there"
        )

    def _level(self, place: int, level: int) -> str:
        factor = self._factors[place]
        return repr(factor.level_names[level]) if isinstance(factor, LevelledFactor) else str(level)

    def _take(self, row: int, kind: ReasonKind, places: tuple[int, ...]) -> None:
        self._open_M[row] = False
        if kind == "uncertainty":
            self._energy[places[0]] *= TIRED
        for place, chance_MK in enumerate(self._chances):
            if chance_MK.shape[1] and self._missing_MF[row, place]:
                self._counts[place] = self._counts[place] + chance_MK[row]
        for cell in self._cells:
            both = self._chances[cell.first][row, cell.first_level] * self._chances[cell.second][row, cell.second_level]
            self._wanted[cell] = max(0.0, self._wanted[cell] - both)
        # Sherman-Morrison: what is left of everybody's leverage once this row is labelled
        shared_M = self._rows_ML @ self._solved_ML[row]
        room = 1.0 + shared_M[row]
        self._leverage_M = self._leverage_M - shared_M**2 / room
        self._solved_ML = self._solved_ML - np.outer(shared_M / room, self._solved_ML[row])


def _chance(logits_MK: Floats, values_M: Floats) -> Floats:
    """Return level probabilities; a label that is known is certain."""
    chance_MK = softmax(logits_MK)
    known_M = ~np.isnan(values_M)
    chance_MK[known_M] = np.eye(chance_MK.shape[1])[values_M[known_M].astype(int)]
    return chance_MK


def _empty_cells(values_NF: Floats, codings: Sequence[Coding]) -> list[_Cell]:
    """Return pairs of levels that occur, but never together."""
    small = [place for place, coding in enumerate(codings) if 0 < coding.levels <= _MOST_LEVELS]
    cells = []
    for at, first in enumerate(small):
        for second in small[at + 1 :]:
            both_N = ~np.isnan(values_NF[:, [first, second]]).any(axis=1)
            levels = codings[second].levels
            flat_N = values_NF[both_N, first].astype(np.int64) * levels + values_NF[both_N, second].astype(np.int64)
            table = np.bincount(flat_N, minlength=codings[first].levels * levels).reshape(-1, levels)
            occurs = (table.sum(axis=1) > 0)[:, None] & (table.sum(axis=0) > 0)
            cells += [_Cell(first, second, int(one), int(other)) for one, other in np.argwhere((table == 0) & occurs)]
    return cells
