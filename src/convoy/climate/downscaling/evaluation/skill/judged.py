"""What models are judged by: for all of them the same days and cells, whatever each has to say there."""

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
# What needs neither training nor orography, and can say something wherever the day has a coarse field.
FALLBACK: Literal["bicubic"] = "bicubic"


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of a judged domain: a field (T, H, W), its standard deviation where it has one.

    The field has a value wherever the truth has one; `said` of these `asked` values are the model's own, and
    they lie on so many `days`.
    """

    domain: Domain
    field: Fields
    spread: Fields | None
    said: int
    asked: int
    days: int

    @property
    def truth(self) -> Fields:
        return truth(self.domain)


def truth(domain: Domain) -> Fields:
    """The fine field (T, H, W) of a domain that has one."""
    assert domain.target is not None
    return domain.target


def judged(split: str, domains: Sequence[Domain]) -> list[Domain]:
    """The domains of a split with no truth on the days that count for no model.

    Those are the days on which the truth or an input is missing in all cells: there, no model has to give
    anything. Raises ConvoyError where no day is left.
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
    """What the model says of each judged domain of a split; None where it cannot go to one of them.

    A baseline that is fitted per pixel has nothing to say of pixels that training never saw: there, bicubic
    interpolation stands in for it, so that silence does not pay. Raises ConvoyError where any other model, or
    a number that is infinite, leaves a value of the truth without an answer.
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
    asked = ~np.isnan(truth(domain))
    silent = asked & ~np.isfinite(field)
    if spread is not None:
        silent |= asked & ~np.isfinite(spread)
    missing = int(silent.sum())
    if missing:
        per_pixel = model in MODELS and MODELS[model].per_pixel
        if not per_pixel or np.isinf(field[silent]).any():
            raise ConvoyError(_refusal(model, split, domain, silent, target))
        field = np.where(silent, interpolated(FALLBACK)({}, domain, target), field)
    values, days = int(asked.sum()), int(asked.any(axis=(1, 2)).sum())
    return Answer(domain, field, spread, values - missing, values, days)


def _refusal(model: str, split: str, domain: Domain, silent: npt.NDArray[np.bool_], target: str) -> str:
    days = silent.any(axis=(1, 2))
    first = domain.days.at(days).labels[0]
    return (
        f"{model}, split '{split}', {domain.name}: no finite {target} for {int(silent.sum()):,} values of "
        f"the truth on {int(days.sum()):,} days, the first {first}, although the inputs are there; fit it "
        "again (a network whose training diverged: with a lower training.learning_rate)"
    )


def daily_errors(found: Sequence[Answer]) -> Daily:
    """The daily errors of the answers for one split."""
    names = [np.array([answer.domain.name] * len(answer.domain.days)) for answer in found]
    errors = [daily_squared_error(answer.field, answer.truth, answer.domain.fine.areas) for answer in found]
    ordinals = [answer.domain.days.ordinal for answer in found]
    return Daily(np.concatenate(names), np.concatenate(ordinals), np.concatenate(errors))
