"""Reading PNGs back."""

import io

import numpy as np
from PIL import Image


def pixels(png: bytes) -> np.ndarray:
    """(height, width, 3) of 0-255."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def share(png: bytes, colour: str, tolerance: int = 3) -> float:
    """The share of a picture's pixels that have the colour, a hex string."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return float((np.abs(pixels(png).astype(int) - wanted).max(axis=-1) <= tolerance).mean())
