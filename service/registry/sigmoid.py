"""The logistic function, of an array and of one number, with the same bits."""

from __future__ import annotations

import numpy as np

from service.registry.transforms import Floats


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)) elementwise, without overflow for any finite z."""
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, small) / (1.0 + small), dtype=np.float64)


def sigmoid_of_one(z: float) -> float:
    """`sigmoid` of one number."""
    small = float(np.exp(-abs(z)))
    return (1.0 if z >= 0 else small) / (1.0 + small)
