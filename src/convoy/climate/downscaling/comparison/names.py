"""Names of splits in tables and sentences."""

from collections.abc import Sequence

SPLIT_LABELS = {
    "test": "Test days",
    "unseen_terrain": "Unseen terrain",
    "warmer_2k": "2 K warmer",
    "warmer_4k": "4 K warmer",
}
PLACES = {
    "test": "on the test days",
    "unseen_terrain": "on unseen terrain",
}
WARMING = {"warmer_2k": "2 K", "warmer_4k": "4 K"}


def split_label(split: str) -> str:
    """A split's name as a column heading."""
    return SPLIT_LABELS.get(split, split.replace("_", " "))


def split_phrase(split: str) -> str:
    """A split's name within a list."""
    name = split_label(split)
    return name[:1].lower() + name[1:]


def places(splits: Sequence[str]) -> str:
    """These splits as an adverbial, such as "on the test days and in the climate 2 K warmer"."""
    warmer = [split for split in splits if split in WARMING]
    words = [PLACES.get(split, f"on {split.replace('_', ' ')}") for split in splits if split not in warmer]
    if warmer:
        kelvin = listed([WARMING[split] for split in warmer])
        words.append(f"in the climate{'s' * (len(warmer) > 1)} {kelvin} warmer")
    return listed(words)


def listed(words: Sequence[str]) -> str:
    """Words as an enumeration; the last one follows an "and"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
