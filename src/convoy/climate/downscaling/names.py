"""What models and splits are called, in tables and in sentences."""

from collections.abc import Sequence

from convoy.climate.downscaling.baselines import BASELINES

# In tables and pictures, where there is little room.
LABELS = {
    "nearest": "Nearest cell",
    "bilinear": "Bilinear",
    "bicubic": "Bicubic",
    "lapse_fixed": "Bicubic + 6.5 K/km",
    "lapse_monthly": "Bicubic + monthly lapse",
    "lapse_daily": "Bicubic + daily lapse",
    "monthly_residual": "Bicubic + monthly residual",
    "quantile_mapping": "Quantile mapping",
    "ridge": "Ridge",
    "residual": "Residual network",
    "srcnn": "SRCNN",
    "separable": "Separable network",
    "unet": "U-Net",
}
# In sentences.
SPOKEN = {
    "nearest": "the nearest cell's value",
    "bilinear": "bilinear interpolation",
    "bicubic": "bicubic interpolation",
    "lapse_fixed": "bicubic with 6.5 K/km of height",
    "lapse_monthly": "bicubic with a lapse rate by month",
    "lapse_daily": "bicubic with a lapse rate by day",
    "monthly_residual": "bicubic with each pixel's monthly residual",
    "quantile_mapping": "quantile mapping by pixel",
    "ridge": "ridge regression by pixel",
    "residual": "the residual network",
    "srcnn": "SRCNN",
    "separable": "the separable network",
    "unet": "the U-Net",
}
SPLIT_LABELS = {
    "test": "Test days",
    "unseen_terrain": "Unseen terrain",
    "warmer_2k": "2 K warmer",
    "warmer_4k": "4 K warmer",
}
SPLITS_SPOKEN = {
    "test": "on the test days",
    "unseen_terrain": "on unseen terrain",
}
WORLDS = {"warmer_2k": "2 K", "warmer_4k": "4 K"}


def is_network(model: str) -> bool:
    """Whether a model of the registry is a network; the others are baselines."""
    return model not in BASELINES


def label(model: str) -> str:
    """A model's name where there is little room."""
    return LABELS.get(model, model)


def spoken(model: str) -> str:
    """A model's name within a sentence."""
    return SPOKEN.get(model, model)


def split_label(split: str) -> str:
    """A split's name over a column."""
    return SPLIT_LABELS.get(split, split.replace("_", " "))


def split_phrase(split: str) -> str:
    """A split's name within a list."""
    name = split_label(split)
    return name[:1].lower() + name[1:]


def places(splits: Sequence[str]) -> str:
    """Where these splits are, within a sentence."""
    worlds = [split for split in splits if split in WORLDS]
    said = [
        SPLITS_SPOKEN.get(split, f"on {split.replace('_', ' ')}") for split in splits if split not in worlds
    ]
    if worlds:
        warmer = listed([WORLDS[split] for split in worlds])
        said.append(f"in a world {warmer} warmer" if len(worlds) == 1 else f"in worlds {warmer} warmer")
    return listed(said)


def listed(words: Sequence[str]) -> str:
    """Words as an enumeration; the last one follows an "and"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def capital(text: str) -> str:
    """The text with its first letter large, as a sentence begins."""
    return text[:1].upper() + text[1:]
