"""Splits of training data: a share for the test, or folds, by group and stratified by label."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from antiphon.api import FileError
from antiphon_models.datasets.records import TEST, TRAIN, VALID

GroupedLabels = Sequence[tuple[str, str]]
"""Group of each sound and its label, the first of several."""


def shares_of(sounds: GroupedLabels, test: float, valid: float) -> dict[str, str]:
    """Split of each group, stratified by label, with at least one group per label to train on.

    Args:
        test: Share of the test.
        valid: Share of the validation.

    Returns:
        By group "train", "valid" or "test".
    """
    split: dict[str, str] = {}
    for groups in _by_label(sounds).values():
        count = sum(size for _, size in groups)
        taken: Counter[str] = Counter()
        for left, (group, size) in zip(range(len(groups) - 1, -1, -1), groups, strict=True):
            wanted = TRAIN
            if left or taken[TRAIN]:
                wanted = next(
                    (s for s, share in ((TEST, test), (VALID, valid)) if taken[s] < round(share * count)), TRAIN
                )
            split[group] = wanted
            taken[wanted] += size
    return split


def folds_of(sounds: GroupedLabels, folds: int) -> dict[str, int]:
    """Fold of each group, from 0, stratified by label.

    Raises `FileError`: there are fewer groups than folds.
    """
    fold: dict[str, int] = {}
    total: Counter[int] = Counter()
    for groups in _by_label(sounds).values():
        held: Counter[int] = Counter()
        for group, size in groups:
            number = min(range(folds), key=lambda n: (held[n], total[n], n))
            fold[group] = number
            held[number] += size
            total[number] += size
    if len(fold) < folds:
        raise FileError(f"train.folds is {folds}, and there are only {len(fold)} groups of sounds: lower it")
    return fold


def _by_label(sounds: GroupedLabels) -> dict[str, list[tuple[str, int]]]:
    """Groups of each label in digest order, with the number of their sounds; a group has its first label."""
    sizes = Counter(group for group, _ in sounds)
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for group, label in dict(reversed(sounds)).items():
        found[label].append((group, sizes[group]))
    for groups in found.values():
        groups.sort(key=lambda pair: hashlib.blake2b(pair[0].encode("utf-8", "surrogateescape")).digest())
    return dict(sorted(found.items()))
