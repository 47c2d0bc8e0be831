"""Names and units of the variables of station files, brought to ours."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.data.units import EXAMPLES, conversion
from convoy.climate.data.variables import VARIABLES, VariableParams
from convoy.climate.series.data.site_years import VARIABLES as OURS
from convoy.core.errors import KEY, ConvoyError, Param
from convoy.core.printable import cut

SECTION = "climate.series.data.variables"
SHOWN = 300  # characters of a list of names in a message

Settings: TypeAlias = Mapping[str, VariableParams]
Floats: TypeAlias = npt.NDArray[np.float64]


def chosen(
    path: str, present: Sequence[str], attributes: Mapping[str, Mapping[str, Any]], settings: Settings,
    wanted: Sequence[str] | None,
) -> dict[str, str]:  # fmt: skip
    """Name in the file of each variable: stated in the params, ours, with the standard name, or a synonym."""
    found: dict[str, str] = {}
    lower = {name.lower(): name for name in present}
    for name in wanted or OURS:
        row, given = VARIABLES[name], settings.get(name)
        if given is not None and given.name is not None:
            if given.name not in present:
                _lacks(path, name, given.name, present)
            found[name] = given.name
            continue
        standard = [
            stored
            for stored, stated in attributes.items()
            if stated.get("standard_name") == row.standard_name
            and row.method in str(stated.get("cell_methods", ""))
        ]
        candidates = [lower[word] for word in (name.lower(), *row.synonyms) if word in lower]
        stored = next(iter([*candidates[:1], *standard]), None)
        if stored is not None:
            found[name] = stored
        elif wanted is not None:
            _lacks(path, name, name, present)
    if not found:
        _lacks(path, OURS[0], OURS[0], present)
    for name, stored in found.items():
        first = next(other for other in found if found[other] == stored)
        if first != name:
            raise ConvoyError(
                f"variable '{stored}' is read as {first} and as {name}", path=path,
                key=Param(SECTION, (name, "name"), "..."), hint=f"name another one: {KEY}",
            )  # fmt: skip
    return found


def _lacks(path: str, name: str, stored: str, present: Sequence[str]) -> NoReturn:
    raise ConvoyError(
        f"no variable '{stored}': it has {cut(', '.join(present), SHOWN)}", path=path,
        key=Param(SECTION, (name, "name"), "..."), hint=f"if it has another name, set it: {KEY}",
    )  # fmt: skip


def converted(path: str, name: str, stored: str, values: Floats, settings: Settings, stated: str) -> Floats:
    """Values in our units: from those in the params, else those that the file states, else ours."""
    row, given = VARIABLES[name], settings.get(name)
    units = (given.units if given is not None else None) or stated or row.units
    turned = conversion(units, row.units)
    if turned is None:
        raise ConvoyError(
            f"variable '{stored}' has the units '{cut(units, 40)}'", path=path,
            key=Param(SECTION, (name, "units"), "..."), expected=f"one of {EXAMPLES[row.units]}",
            hint=f"set them: {KEY}",
        )  # fmt: skip
    if turned != (1, 0):
        values = values * turned.scale + turned.offset
    least, greatest = row.values
    wrong = (values < least - row.round_off) | (values > greatest)
    if wrong.any():
        raise ConvoyError(
            f"variable '{stored}' is {values[wrong][0]:.6g} {row.units} if its units are '{units}' (the "
            f"first of {int(wrong.sum()):,})", path=path, key=Param(SECTION, (name, "units"), "..."),
            expected=f"{least:g} to {greatest:g}",
            hint=f"declare its units: {KEY}, and leave missing values empty",
        )  # fmt: skip
    return np.maximum(values, least) if row.round_off else values
