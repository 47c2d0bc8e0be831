"""Applications of models to files that are not there: what they say of themselves, and what they hold."""

import math

import numpy as np
import pytest

from convoy.climate.downscaling.inference.files import Application, inputs_side
from convoy.climate.downscaling.inference.surface import ground_for
from convoy.core.errors import ConvoyError
from tests.support.downscaled import facts_of, variables


def side_of(files, stored):
    """A model's inputs in files by path, as domains with the days and inputs that each of them holds."""
    facts = [facts_of(path, variables(domain)) for path, domain in files.items()]
    return inputs_side(facts, stored, {})


def application(stored, domain, heights=None):
    inputs = side_of({"in.nc": domain}, stored)
    return Application(stored, inputs, ground_for(stored, inputs, heights))


def applied(made, domain, block_days=None, files=None):
    """All fields by name, in blocks of so many days; the spans cover each day once, in order."""
    files, told = files or {"in.nc": domain}, []

    def read(path, name, start, stop):
        assert stop - start <= (block_days or len(domain.days))
        return files[path].inputs[name][start:stop]

    with pytest.MonkeyPatch.context() as patch:
        if block_days is not None:
            patch.setattr(
                "convoy.climate.downscaling.inference.files.VALUES_A_BLOCK",
                block_days * math.prod(domain.coarse.shape),
            )
        parts = list(made.parts(read, lambda *words: told.append(words)))
    days = [day for span, _ in parts for day in range(span.start, span.stop)]
    assert days == list(range(len(made.days)))
    assert told == [("days", span.stop, len(days)) for span, _ in parts]
    return {name: np.concatenate([fields[name] for _, fields in parts]) for name in parts[0][1]}


def refusal(call, *arguments):
    with pytest.raises(ConvoyError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
