"""The synthetic climate as a whole: reproducible, physical, and with the splits that it tells of."""

import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from convoy.climate.data.domains import Domain
from convoy.climate.data.regridding import METHODS, interpolation
from convoy.climate.synthetic.noise_floor import noise_floor_rmse
from convoy.climate.synthetic.physics import saturation_humidity, surface_pressure
from convoy.climate.synthetic.scenarios import SyntheticParams, domains, facts, grids, random_part, splits
from convoy.climate.synthetic.temperature import DailyMaximum

PLACES = {"home", "terrain_1", "terrain_2", "terrain_3", "unseen"}
WORLDS = {"warmer_2k": 2.0, "warmer_4k": 4.0}


def home(**changes: object) -> Domain:
    return next(domains(SyntheticParams(**{"years": 4, **changes})))


def block_means(fine: np.ndarray) -> np.ndarray:
    """Area means of (..., 64, 64) over 4 x 4 cells, written out."""
    rows = np.diff(np.sin(np.radians(40 + np.arange(65) / 4))).reshape(16, 4)
    blocks = fine.astype(np.float64).reshape(*fine.shape[:-2], 16, 4, 16, 4).mean(axis=-1)
    return (blocks * rows[:, :, None]).sum(axis=-2) / rows.sum(axis=1)[:, None]


@pytest.fixture(scope="module")
def imperfect() -> Domain:
    return home(inputs="imperfect")


def test_the_grids() -> None:
    coarse, fine = grids()
    assert (coarse.shape, fine.shape) == ((16, 16), (64, 64))
    np.testing.assert_allclose(coarse.lat.bounds[[0, -1], [0, 1]], fine.lat.bounds[[0, -1], [0, 1]])
    np.testing.assert_allclose(np.diff(fine.lon.bounds, axis=1), 0.25)


def test_the_random_part_bends_at_a_wavelength_of_four_degrees() -> None:
    modes = random_part()
    assert modes.covariance()[0, 0] == pytest.approx(2.5**2)
    # On 128 cells of a quarter of a degree, 8 waves are of 16 cells: 4 degrees.
    energy = modes.energy(np.array([2.0, 4.0, 8.0, 16.0, 64.0]))
    assert energy[0] / energy[2] == pytest.approx(4.0**3)
    assert energy[2] / energy[4] == pytest.approx(8.0 ** (5 / 3))
    assert energy[3] / energy[4] == pytest.approx(4.0 ** (5 / 3))
    # No region of 16 degrees sees both ends of a wave.
    assert modes.size >= 2 * modes.window == 128


def test_every_domain_is_whole(climate) -> None:
    assert set(climate) == PLACES | set(WORLDS)
    for domain in climate.values():
        days = len(domain.days)
        assert domain.place == ("home" if domain.name in WORLDS else domain.name)
        assert domain.target is not None
        assert domain.target.shape == (days, 64, 64)
        assert set(domain.inputs) == {"tasmax", "psl", "huss"}
        for field in (domain.target, *domain.inputs.values(), *domain.static.values()):
            assert field.dtype == np.float32
            assert np.isfinite(field).all()
        assert 230 < domain.target.min() < domain.target.max() < 325
    assert len(climate["home"].days) == 4 * 365


def test_a_seed_gives_the_same_bytes_and_another_one_does_not(climate) -> None:
    first, again, other = (fields_of(domain) for domain in (climate["home"], home(), home(seed=1)))
    for name, field in first.items():
        assert again[name].tobytes() == field.tobytes(), name
        if name != "latitude":
            assert not np.array_equal(other[name], field), name


def fields_of(domain: Domain) -> dict[str, np.ndarray]:
    assert domain.target is not None
    return {"target": domain.target, **domain.inputs, **domain.static}


def days_of(split: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(part["domain"], str(year)) for part in split
            for year in range(int(part["from"][:4]), int(part["to"][:4]) + 1)}  # fmt: skip


@pytest.mark.parametrize("years", [4, 5, 7, 8, 10, 20, 33, 60])
def test_no_split_shares_a_year_of_a_domain_with_another(years) -> None:
    parts = splits(SyntheticParams(years=years))
    assert list(parts) == ["train", "validation", "test", "unseen_terrain", *WORLDS]
    assert all(part["from"].endswith("-01-01") and part["to"].endswith("-12-31")
               for split in parts.values() for part in split)  # fmt: skip
    found = {split: days_of(of_split) for split, of_split in parts.items()}
    for one, other in itertools.combinations(found, 2):
        assert not found[one] & found[other], (one, other)
    of_home = [{year for domain, year in found[split] if domain == "home"}
               for split in ("train", "validation", "test")]  # fmt: skip
    train, validation, test = of_home
    assert len(train) + len(validation) + len(test) == years
    assert max(train) < min(validation) <= max(validation) < min(test)
    assert all(of_home)
    # What is never trained on: the unseen place, and both warmer worlds, whose years are those of the test.
    seen = {domain for split in ("train", "validation") for domain, _ in found[split]}
    assert seen == PLACES - {"unseen"}
    assert {domain for domain, _ in found["unseen_terrain"]} == {"unseen"}
    for world in WORLDS:
        assert found[world] == {(world, year) for year in test}


def test_twenty_years_are_split_as_the_docstring_says() -> None:
    parts = {split: days_of(part) for split, part in splits(SyntheticParams(years=20)).items()}
    count = {split: sum(domain == "home" for domain, _ in part) for split, part in parts.items()}
    assert [count[split] for split in ("train", "validation", "test")] == [14, 2, 4]
    assert len(parts["train"]) == 14 + 3 * 4
    assert len(parts["unseen_terrain"]) == 5


def test_every_span_has_its_days(climate) -> None:
    for split, parts in splits(SyntheticParams(years=4)).items():
        for part in parts:
            days = climate[part["domain"]].days.between(part["from"], part["to"]).sum()
            years = int(part["to"][:4]) - int(part["from"][:4]) + 1
            assert days == 365 * years, (split, part)


def test_the_coarse_maximum_is_the_area_mean_of_the_truth(climate) -> None:
    for domain in climate.values():
        np.testing.assert_allclose(domain.inputs["tasmax"], block_means(domain.target), atol=1e-3)
        height = block_means(domain.static["elevation"])
        np.testing.assert_allclose(domain.coarse_static["elevation"], height, atol=0.01)


def random_part_of(domain: Domain) -> np.ndarray:
    """g: what the truth is beyond the deterministic part of the stored inputs."""
    coarse, fine = grids()
    known = DailyMaximum(fine, dict(domain.static), interpolation(coarse, fine, "bicubic"))
    assert domain.target is not None
    return domain.target - known(domain.inputs["psl"], domain.inputs["huss"], domain.days.season, 0.0)


def test_perfect_and_imperfect_inputs_are_of_one_weather(climate, imperfect) -> None:
    np.testing.assert_array_equal(imperfect.inputs["psl"], climate["home"].inputs["psl"])
    days = np.arange(0, 1460, 20)
    perfect = random_part_of(climate["home"].at(days))
    np.testing.assert_allclose(random_part_of(imperfect.at(days)), perfect, atol=1e-3)


def test_an_imperfect_model_has_a_bias_and_smoother_surface(climate, imperfect) -> None:
    error = imperfect.inputs["tasmax"] - block_means(imperfect.target)
    assert np.abs(error.mean(axis=0)).max() > 1
    assert 0.5 < np.sqrt(np.mean(error**2)) < 4
    assert np.corrcoef(imperfect.inputs["tasmax"].ravel(), block_means(imperfect.target).ravel())[0, 1] > 0.9
    own = imperfect.coarse_static["elevation"]
    assert own.std() < 0.95 * block_means(imperfect.static["elevation"]).std()
    # The terrain itself is home's.
    np.testing.assert_array_equal(imperfect.static["elevation"], climate["home"].static["elevation"])


def test_air_is_never_above_saturation(climate) -> None:
    for domain in climate.values():
        tasmax = domain.inputs["tasmax"].astype(np.float64)
        pressure = surface_pressure(domain.inputs["psl"], domain.coarse_static["elevation"], tasmax)
        relative = domain.inputs["huss"] / saturation_humidity(tasmax, pressure)
        assert 0 < relative.min() < relative.max() <= 1, domain.name


def test_warmer_worlds_have_home_s_weather_and_differ_by_the_change_alone(climate) -> None:
    home = climate["home"]
    for name, warming in WORLDS.items():
        world = climate[name]
        days = np.isin(home.days.ordinal, world.days.ordinal)
        assert days.sum() == len(world.days) == 365
        np.testing.assert_array_equal(world.inputs["psl"], home.inputs["psl"][days])
        for field, value in home.static.items():
            np.testing.assert_array_equal(world.static[field], value)
        change = world.target - home.target[days]
        sea = home.static["elevation"] == 0
        assert change[:, sea].mean() == pytest.approx(warming, rel=0.1)
        # Over land less humidity is missing to saturation: the lapse rate falls, and heights warm the more.
        assert warming < change.mean() < 1.25 * warming
        # Land more than sea, heights more than lowland, and warmer air is moister, at about 7% a degree.
        land, high = home.static["coast"] > 0, home.static["elevation"] > 1500
        assert change[:, land].mean() > change[:, ~land].mean() + 0.02 * warming
        assert change[:, high].mean() > change[:, land & ~high].mean() + 0.05 * warming
        moister = world.inputs["huss"] / home.inputs["huss"][days]
        assert np.log(moister).mean() / warming == pytest.approx(0.07, abs=0.015)
        # g is the same: the change has next to nothing of its small scales.
        rough = np.diff(change, axis=2).std() / np.diff(home.target[days], axis=2).std()
        assert rough < 0.2


def test_the_surface_has_relief_a_sea_and_places_of_its_own(climate) -> None:
    places = [climate[name].static["elevation"] for name in sorted(PLACES)]
    for height in places:
        assert np.ptp(height) >= 1500
        assert 0.1 < np.mean(height == 0) < 0.4
    for one, other in itertools.combinations(places, 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.9
    weather = [climate[name].inputs["psl"][:365] for name in sorted(PLACES)]
    for one, other in itertools.combinations(weather, 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.3


def test_who_knows_all_but_g_cannot_pass_the_noise_floor_with_an_interpolation(climate) -> None:
    """And is far nearer to it than who does not: the deterministic part is what there is to learn."""
    domain = climate["home"].at(np.arange(0, 1460, 2))
    coarse, fine = grids()
    g = random_part_of(domain)
    noise_floor = noise_floor_rmse(random_part(), coarse, fine)

    def rmse(errors: np.ndarray) -> float:
        return float(np.sqrt((np.mean(errors.astype(np.float64) ** 2, axis=0) * fine.areas).sum()))

    blind = rmse(domain.target - interpolation(coarse, fine, "bicubic")(domain.inputs["tasmax"]))
    for method in METHODS:
        found = rmse(g - interpolation(coarse, fine, method)(block_means(g)))
        assert noise_floor < found < blind
    assert found < 1.3 * noise_floor


@pytest.mark.parametrize(
    "wrong", [{"years": 3}, {"years": 201}, {"seed": -1}, {"inputs": "good"}, {"year": 9}]
)
def test_params_out_of_bounds_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        SyntheticParams(**wrong)


def test_the_facts_name_the_kind_of_climate() -> None:
    told = facts(SyntheticParams(years=7, inputs="imperfect", seed=3))["source"]
    assert all(word in told for word in ("synthetic", "7 years", "imperfect", "seed 3"))
