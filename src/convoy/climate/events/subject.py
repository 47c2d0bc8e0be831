"""The events task in the words of its report."""

from convoy.classifiers.comparison.subject import Subject
from convoy.climate.events.models.specs import MODELS

SUBJECT = Subject(
    models=MODELS,
    cases="images",
    category="class",
    controls=frozenset(name for name, model in MODELS.items() if model.with_mark),
    weights_note="First seed. The stored weights are those of the epoch with the lowest validation loss. "
    "Label smoothing and augmentation apply to the training loss only, which may therefore be higher.",
    method="The probabilities of networks are calibrated by a temperature fitted on the validation split.",
)
