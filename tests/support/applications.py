"""Applications of models to files that are not there: what they say of themselves, and what they hold."""

import math

import numpy as np
import pytest

from convoy.climate.data.sides import Side
from convoy.climate.downscaling.inference.files import Application, inputs_side
from convoy.climate.downscaling.inference.surface import surface_for
from convoy.core.errors import ConvoyError
from tests.support.downscaled import opened, variables


def side_of(files, stored):
    """A model's inputs in files by path, as domains with the days and inputs that each of them holds."""
    return inputs_side([opened(path, variables(domain)) for path, domain in files.items()], stored, {})


def application(stored, domain, heights=None):
    inputs = side_of({"in.nc": domain}, stored)
    return Application(stored, inputs, surface_for(stored, inputs, heights))


def applied(made, domain, block_days=None):
    """All fields by name, in blocks of so many days; the spans cover each day once, in order."""
    told, lengths = [], []
    slices = Side.slices

    def noted(side, name, days):
        lengths.append(len(days))
        return slices(side, name, days)

    with pytest.MonkeyPatch.context() as patch:
        if block_days is not None:
            patch.setattr(
                "convoy.climate.downscaling.inference.files.VALUES_A_BLOCK",
                block_days * math.prod(domain.coarse.shape),
            )
        patch.setattr(Side, "slices", noted)
        parts = list(made.parts(lambda *words: told.append(words)))
    assert max(lengths) <= (block_days or len(made.days))
    days = [day for span, _ in parts for day in range(span.start, span.stop)]
    assert days == list(range(len(made.days)))
    assert told == [("days", span.stop, len(days)) for span, _ in parts]
    return {name: np.concatenate([fields[name] for _, fields in parts]) for name in parts[0][1]}


def refusal(call, *arguments):
    with pytest.raises(ConvoyError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
