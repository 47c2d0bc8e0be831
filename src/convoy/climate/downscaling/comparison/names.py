"""What splits are called, in tables and in sentences."""

from collections.abc import Sequence

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
