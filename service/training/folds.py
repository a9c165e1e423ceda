"""Folds over people: stratified by class, and all samples of a person on one side.

A person is a case where any sample of theirs is one. People of a class are shuffled and dealt out in turn, and the
next class is dealt on where the last one ended, so that fold sizes differ by one person at most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.training.cohort import Flags

Indices = NDArray[np.int64]


def deal(person: Indices, positive: Flags, folds: int, generator: np.random.Generator) -> Indices:
    """The fold 0..`folds` - 1 of each row. `person` (n,) numbers people from 0; rows of one person share a fold."""
    people = int(person.max()) + 1
    case = np.zeros(people, dtype=bool)
    np.logical_or.at(case, person, positive)
    present = np.zeros(people, dtype=bool)
    present[person] = True
    fold = np.zeros(people, dtype=np.int64)
    dealt = int(generator.integers(folds))
    for group in (case & present, ~case & present):
        shuffled = generator.permutation(np.flatnonzero(group))
        fold[shuffled] = (dealt + np.arange(len(shuffled))) % folds
        dealt += len(shuffled)
    return fold[person]


def draw_people(person: Indices, positive: Flags, generator: np.random.Generator) -> Indices:
    """How often each row counts in one bootstrap sample of people, drawn within each class. Answers (n,)."""
    people = int(person.max()) + 1
    case = np.zeros(people, dtype=bool)
    np.logical_or.at(case, person, positive)
    counts = np.zeros(people, dtype=np.int64)
    for group in (np.flatnonzero(case), np.flatnonzero(~case)):
        counts += np.bincount(generator.choice(group, len(group)), minlength=people)
    return counts[person]
