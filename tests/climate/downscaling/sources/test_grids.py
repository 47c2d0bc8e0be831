"""Where grids come from: params that cannot be, and the synthetic source."""

import pytest

from convoy.climate.downscaling.sources.grids import GridsParams, made, summary
from convoy.climate.synthetic import scenarios as synthetic
from convoy.core import params
from convoy.core.errors import ConvoyError
from tests.support.known import SPLIT


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"source": "sinthetic"}, "key 'source.name': expected 'synthetic'; found \"sinthetic\""),
        ({"source": {"fine": "x.nc"}}, "expected either 'factor' or 'coarse' in addition to 'fine'"),
        ({"source": {"fine": "x.nc", "factor": 4, "coarse": "y.nc"}}, "expected either 'factor' or 'coarse'"),
        ({"source": {"fine": "x.nc", "factor": 1}}, "key 'source.files.factor'"),
        ({"source": {"fine": [], "factor": 4}}, "key 'source.files.fine'"),
        ({"source": {"fine": "x.nc", "faktor": 4}}, "unknown key 'source.files.faktor'"),
        (
            {"source": {"fine": "x.nc", "factor": 4}, "target": "heat"},
            "unknown variable 'heat' in target or inputs; expected one of",
        ),
        ({"source": {"fine": "x.nc", "factor": 4}, "inputs": ["psl"]}, "inputs lack the target 'tasmax'"),
        ({"source": {"fine": "x.nc", "factor": 4}, "variables": {"t": {}}}, "variables: unknown 't'"),
        ({"source": {"fine": "x.nc", "factor": 4}, "variables": {"pr": {"unit": "m"}}}, "variables.pr.unit"),
        ({"target": "psl"}, "the synthetic source has the target tasmax"),
        (
            {"inputs": ["tasmax", "pr"]},
            "unknown variable 'pr' in target or inputs; expected one of tasmax, psl, huss",
        ),
        ({"variables": {"pr": {"units": "m"}}}, "no 'variables' or 'split'"),
        ({"split": SPLIT}, "no 'variables' or 'split'"),
    ],
)
def test_impossible_params_are_refused(section, expected):
    with pytest.raises(ConvoyError) as caught:
        params.parse(section, GridsParams, where="climate.grids")
    assert expected in str(caught.value)


def test_the_synthetic_climate_has_its_noise_floor_where_inputs_are_perfect():
    section = params.parse({"synthetic": {"years": 5}}, GridsParams, where="climate.grids")
    domains, facts = made(section)
    assert next(domains).name == "home"
    assert facts["inputs"] == ["tasmax", "psl", "huss"]
    assert facts["splits"] == synthetic.splits(section.synthetic)
    assert (facts["factor"], facts["perfect"], facts["target"]) == (4, True, "tasmax")
    assert 0.3 < facts["noise_floor"] < 0.5
    imperfect = {"synthetic": {"years": 5, "inputs": "imperfect"}, "inputs": ["psl", "tasmax"]}
    _, facts = made(params.parse(imperfect, GridsParams, where="climate.grids"))
    assert (facts["noise_floor"], facts["perfect"], facts["inputs"]) == (None, False, ["tasmax", "psl"])
    assert "imperfect" in summary(facts).splitlines()[0]
