"""Stage climate-baselines: the daily errors of every baseline on every split; skill is relative to them."""

from pathlib import Path

from convoy.climate.data import io as grids
from convoy.climate.downscaling import daily_io as daily
from convoy.climate.downscaling.evaluate import baseline_daily
from convoy.climate.downscaling.models import MODELS
from convoy.core.stage import run
from convoy.tasks import names_of

GRIDS = Path("data/climate/grids")


def main() -> None:
    """Fit all baselines, whichever models are chosen, and write their daily squared errors."""
    facts = grids.read_facts(GRIDS)
    splits = {split: grids.read(GRIDS, split) for split in facts["splits"] if split != "validation"}
    table = {}
    for baseline in names_of(MODELS, "baseline"):
        table[baseline] = baseline_daily(baseline, splits, facts["target"])
        told = ", ".join(f"{split} {days.rmse:.4g}" for split, days in table[baseline].items())
        print(f"{baseline}: RMSE {told}", flush=True)
    daily.write(Path("data/climate/baselines.parquet"), table)


if __name__ == "__main__":
    run(main)
