"""Drawn shapes whose measures are known: pixels whose centre lies inside."""

from __future__ import annotations

import numpy as np


def draw(kind, length, width, angle, offset=(0.0, 0.0)):
    """An ellipse or a rectangle, its long axis turned anticlockwise by an angle in degrees, as a mask."""
    size = int(np.hypot(length, width)) + 8
    y, x = np.mgrid[:size, :size] + 0.5
    x, y = x - size / 2 - offset[0], y - size / 2 - offset[1]
    turn = np.deg2rad(angle)
    along = (x * np.cos(turn) - y * np.sin(turn)) / (length / 2)
    across = (x * np.sin(turn) + y * np.cos(turn)) / (width / 2)
    if kind == "ellipse":
        return cut(along**2 + across**2 < 1)
    return cut((abs(along) < 1) & (abs(across) < 1))


def cut(mask):
    """The mask without the empty rows and columns around it."""
    return mask[mask.any(axis=1)][:, mask.any(axis=0)]
