"""Predictions to evaluate: all models are compared on the same days and cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Domain, Fields
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.skill.measures import daily_squared_error
from convoy.climate.downscaling.models.baselines import interpolated
from convoy.climate.downscaling.models.specs import MODELS, Prediction
from convoy.core.errors import ConvoyError

Predict: TypeAlias = Callable[[Domain], Prediction | None]
Splits: TypeAlias = Mapping[str, Sequence[Domain]]
# Needs neither training nor orography, and predicts every day with a coarse field.
FALLBACK: Literal["bicubic"] = "bicubic"


@dataclass(frozen=True, eq=False)
class Answer:
    """A model's prediction for a domain: a field (T, H, W), and its standard deviation where it has one.

    The field has a value wherever the truth has one: `values` in all, on `days` days, of which `predicted`
    are the model's own.
    """

    domain: Domain
    field: Fields
    spread: Fields | None
    predicted: int
    values: int
    days: int

    @property
    def truth(self) -> Fields:
        return truth(self.domain)


def truth(domain: Domain) -> Fields:
    """The fine field (T, H, W) of a domain that has one."""
    assert domain.target is not None
    return domain.target


def judged(split: str, domains: Sequence[Domain]) -> list[Domain]:
    """The domains of a split without the truth of days that are not evaluated.

    These are the days on which an input is missing in all cells, for which no model has to predict anything.
    Raises ConvoyError where no day is left.
    """
    found = [_judged(domain) for domain in domains]
    if all(np.isnan(truth(domain)).all() for domain in found):
        raise ConvoyError(
            f"split '{split}': no day on which the truth and all inputs have values; look at what "
            "climate.grids makes of the source, or drop the split"
        )
    return found


def _judged(domain: Domain) -> Domain:
    absent = [np.isnan(field).all(axis=(1, 2)) for field in domain.inputs.values()]
    out = np.logical_or.reduce(absent)
    if not out.any():
        return domain
    return replace(domain, target=np.where(out[:, None, None], np.float32(np.nan), truth(domain)))


def answers(
    model: str, predict: Predict, split: str, domains: Sequence[Domain], target: str
) -> list[Answer] | None:
    """The model's predictions for each domain of `judged`; None where it cannot be applied to one of them.

    A baseline that is fitted per pixel has no prediction for pixels without training data: bicubic
    interpolation replaces it there, so that models are compared on the same values. Raises ConvoyError where
    any other model lacks a prediction, and for infinite ones.
    """
    found = []
    for domain in domains:
        prediction = predict(domain)
        if prediction is None:
            return None
        found.append(_answer(model, split, domain, prediction, target))
    return found


def _answer(model: str, split: str, domain: Domain, prediction: Prediction, target: str) -> Answer:
    field, spread = prediction
    known = ~np.isnan(truth(domain))
    lacking = known & ~np.isfinite(field)
    if spread is not None:
        lacking |= known & ~np.isfinite(spread)
    missing = int(lacking.sum())
    if missing:
        per_pixel = model in MODELS and MODELS[model].per_pixel
        if not per_pixel or np.isinf(field[lacking]).any():
            raise ConvoyError(_refusal(model, split, domain, lacking, target))
        field = np.where(lacking, interpolated(FALLBACK)({}, domain, target), field)
    values, days = int(known.sum()), int(known.any(axis=(1, 2)).sum())
    return Answer(domain, field, spread, values - missing, values, days)


def _refusal(model: str, split: str, domain: Domain, lacking: npt.NDArray[np.bool_], target: str) -> str:
    days = lacking.any(axis=(1, 2))
    first = domain.days.at(days).labels[0]
    return (
        f"{model}, split '{split}', {domain.name}: no finite {target} for {int(lacking.sum()):,} values of "
        f"the truth on {int(days.sum()):,} days, the first {first}, although the inputs are there; fit it "
        "again (a network whose training diverged: with a lower training.learning_rate)"
    )


def daily_errors(found: Sequence[Answer]) -> Daily:
    """The daily errors of the predictions for one split."""
    names = [np.array([answer.domain.name] * len(answer.domain.days)) for answer in found]
    errors = [daily_squared_error(answer.field, answer.truth, answer.domain.fine.areas) for answer in found]
    ordinals = [answer.domain.days.ordinal for answer in found]
    return Daily(np.concatenate(names), np.concatenate(ordinals), np.concatenate(errors))
