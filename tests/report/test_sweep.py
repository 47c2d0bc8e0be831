import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from convoy.report import sweep
from convoy.report.themes import LIGHT

MODELS = (sweep.Series("linear", "Words", 3), sweep.Series("linear_pairs", "Pairs", 2))
NETWORK = sweep.Series("bow", "A network", 0)


def rows(verdict: str, synonyms=(1, 8), word_fidelity=(0.15, 0.35), phrase_fidelity=(0.0, 0.5, 0.9)):
    return [
        {
            "synonyms": s, "word_fidelity": w, "phrase_fidelity": p, "items": 8000, "order_blind": 0.5,
            "full": 0.5 + 0.4 * p, "linear": 0.45, "linear_pairs": 0.45 + 0.2 * p, "verdict": verdict,
        }
        for s in synonyms for w in word_fidelity for p in phrase_fidelity
    ]  # fmt: skip


def pixels(png: bytes) -> np.ndarray:
    return imread(io.BytesIO(png))[..., :3]


def tinted(png: bytes, series: int) -> int:
    """Pixels in the shade of a series."""
    shade = np.array(to_rgb(LIGHT.series[series])) * sweep.SHADE + 1 - sweep.SHADE
    return int((np.abs(pixels(png) - shade).max(axis=2) < 0.01).sum())


@pytest.mark.parametrize("verdict", list(sweep.VERDICTS))
def test_worth_of_order_has_the_colour_of_its_verdict(verdict):
    picture = sweep.sweep_picture(rows(verdict), MODELS, LIGHT)
    shown = {name: tinted(picture, series) for name, (series, _) in sweep.VERDICTS.items()}
    # The legend holds small patches of the others.
    assert shown[verdict] > 20 * max(count for name, count in shown.items() if name != verdict)


def test_bytes_repeat_whatever_the_order_of_the_rows():
    given = rows("memorised pairs do")
    assert sweep.sweep_picture(given, MODELS, LIGHT) == sweep.sweep_picture(given[::-1], MODELS, LIGHT)


def test_networks_are_drawn_in_their_own_colours():
    given = [{**row, "bow": 0.4} for row in rows("order carries nothing")]
    blue = to_rgb(LIGHT.series[0])
    found = [
        (np.abs(pixels(sweep.sweep_picture(given, models, LIGHT)) - blue).max(axis=2) < 0.01).sum()
        for models in (MODELS, (*MODELS, NETWORK))
    ]
    assert found[0] == 0 < found[1]


def test_a_single_cell_and_a_wide_grid_can_be_drawn():
    one = pixels(sweep.sweep_picture(rows("memorised pairs do", (2,), (0.3,), (0.9,)), MODELS, LIGHT))
    wide = pixels(sweep.sweep_picture(rows("memorised pairs do", (1, 2, 4, 8)), MODELS, LIGHT))
    assert one.shape[1] < wide.shape[1] < 4000
