"""Names of splits, and the paragraphs of the report that explain its tables and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

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
# Why there is no figure: a model cannot be applied to a split, or a measure to a model; a baseline that is
# the best elsewhere is not in climate.baselines; the data do not suffice.
NOT_APPLICABLE, NOT_CHOSEN, NOT_MEASURED = "not applicable", "not chosen", "not measured"
STATES = (
    f"Where there is no figure: {NOT_APPLICABLE}, the model is bound to the terrain that it was fitted on; "
    f"{NOT_CHOSEN}, the baseline is not in climate.baselines; {NOT_MEASURED}, the data do not suffice."
)
ERRORS = (
    "Lower is better. Diamonds are networks, discs are baselines (blue: the best on a split). Error bars, "
    "and the second lines in the table, are 95% confidence intervals."
)
FLOOR_LINE = " The dashed line is the noise floor, the lowest expected error given the day's coarse fields."
DAYS = (
    "Of the test days the hottest, the coldest, and {third}. In each row the fields share one scale and the "
    "errors another, where blue is too low and orange too high{coast}. Errors that follow mountains, valleys "
    "or coasts are systematic; speckle may be random."
)
PER_PIXEL = "Bias (blue: too low, orange: too high) and RMSE of each cell over all test days."
UNEXPLAINED = "the one on which elevation explains least of the field"
UNLIKE = "the one least like its coarse field"
COAST = "; the line is the coast"
PARTS = (
    "RMSE on the test days. DJF is December to February, MAM March to May, JJA June to August, SON September "
    "to November{bands}."
)
BANDS = "; the lowest band is the sea"
SPECTRA = (
    "Power of the maps by wavelength, averaged over the test days. A curve below the truth at short "
    "wavelengths means that fields are too smooth. The coarse grid does not resolve wavelengths right of the "
    "dashed line; there even the best estimate, a conditional mean, has less power than the truth."
)
CURVES = (
    "Curves of the first training. The stored weights are those of the epoch with the lowest validation loss."
)
MEASURED = (
    "Bias is model minus truth, averaged over area and days. Anomalies are departures from each cell's mean "
    "seasonal cycle. Fine-scale power is that of wavelengths which the coarse grid does not resolve."
)
VERDICTS = (
    "Network and baseline are compared by a paired bootstrap, with the same resampled days. A winner is "
    "named only where the interval of their difference excludes zero; otherwise they tie."
)
CHOICE = (
    "The best baseline of a split is the one with the lowest RMSE on it, among all baselines, also those "
    "that climate.baselines leaves out; the best network is chosen likewise. Both are chosen on the test "
    "days themselves, so that their errors are slightly optimistic."
)
ONE_TRAINING = (
    "Intervals cover the variation between days, not between trainings: each network was trained once, with "
    "one seed."
)
TRAININGS = (
    "Trainings of a network differ in their seed: {}. Figures are means over them. Trainings and blocks of "
    "days are resampled together, so that intervals cover the variation of both. Maps and spectra are those "
    "of the first training, whose weights are published."
)
NOISE_FLOOR = (
    "The noise floor is exact. The coarse fields are the area means of the truth, and the synthetic climate "
    "is the sum of a function of the coarse fields and a Gaussian part, whose best estimate is its "
    "conditional mean given the area means of the same day. The noise floor is the square root of the "
    "conditional variance. It is an expectation: on few days a model's RMSE may be lower."
)


def split_label(split: str) -> str:
    """A split's name as a column heading."""
    return SPLIT_LABELS.get(split, split.replace("_", " "))


def split_phrase(split: str) -> str:
    """A split's name within a list."""
    name = split_label(split)
    return name[:1].lower() + name[1:]


def state(found: Mapping[str, Any], model: str) -> str:
    """Why a split of a comparison has no figures of a model."""
    return NOT_APPLICABLE if model in found["absent"] else NOT_CHOSEN


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
