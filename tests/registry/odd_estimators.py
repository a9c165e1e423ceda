"""Estimators that misbehave for certain values of their first input, and answer sensibly for all others."""

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

NO_NUMBER, NO_PROBABILITY, FAILS, KILLS, EATS, WAITS, SLEEPS, CHATTERS = 9.5, 9.25, 9.0, 8.5, 8.0, 7.75, 7.5, 7.25
SLEEP_SECONDS = 0.5


class Gate:
    """A door that a call in the child process stands before until a test opens it."""

    def __init__(self, folder: Path) -> None:
        self._begun, self._opened = folder / f"begun-{uuid.uuid4()}", folder / f"opened-{uuid.uuid4()}"

    def pass_through(self) -> None:
        """In the child: say that a call stands here, and wait."""
        self._begun.touch()
        while not self._opened.exists():
            time.sleep(0.002)
        self._opened.unlink()

    def wait_for_a_call(self) -> None:
        """In the test: return when a call stands at the door."""
        limit = time.monotonic() + 20
        while not self._begun.exists():
            assert time.monotonic() < limit
            time.sleep(0.002)
        self._begun.unlink()

    def open(self) -> None:
        """Let the call through, once."""
        self._opened.touch()


class Odd:
    """A logistic function of the first input, with traps."""

    def __init__(self, *, slow_load: float = 0.0, dies: bool = False, width: int = 6, gate: Gate | None = None) -> None:
        self.gate, self.dies = gate, dies
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = width
        self.slow_load = slow_load

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        time.sleep(self.slow_load)
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        first = matrix[:, 0]
        if (first == FAILS).any():
            raise ValueError("zq-marker")
        if (first == KILLS).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (first == EATS).any():
            np.ones(1 << 32)
        if self.gate is not None and (first == WAITS).any():
            self.gate.pass_through()
        if (first == SLEEPS).any():
            time.sleep(SLEEP_SECONDS)
        if (first == CHATTERS).any():
            print("zq-marker", flush=True)
        positive = 1.0 / (1.0 + np.exp(-first))
        positive[first == NO_NUMBER] = np.nan
        positive[first == NO_PROBABILITY] = 1.5
        return np.column_stack([1.0 - positive, positive])


class Wide(Odd):
    """Answers with another shape than asked for."""

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        return np.full((len(matrix), 3), 1 / 3)


class Three(Odd):
    """Tells three classes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.classes_ = np.array([0, 1, 2])


class Mute:
    """Has classes and no probabilities."""

    classes_ = (0, 1)


class Unloadable:
    """Raises when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("zq-marker",))
