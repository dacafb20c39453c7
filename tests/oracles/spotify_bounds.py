"""Spotify's sequential bounds: a power spending function, by the trapezoidal rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds


def answers(questions: Any) -> Any:
    return [
        [float(bound) for bound in bounds(np.array(fractions), alpha, rho=power, ztrun=8, sides=sides).bounds]
        for fractions, alpha, power, sides in questions
    ]
