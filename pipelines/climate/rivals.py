"""Stage climate-rivals: the daily error of every rival on every split, against which skill is measured."""

from pathlib import Path

from convoy.climate.downscaling.rivals import RIVALS
from convoy.climate.skill.evaluation import rival_daily
from convoy.stage import run
from convoy.storage import daily, grids

GRIDS = Path("data/climate/grids")


def main() -> None:
    """Fit all rivals, whichever models are chosen, and write their daily squared errors."""
    facts = grids.read_facts(GRIDS)
    splits = {split: grids.read(GRIDS, split) for split in facts["splits"] if split != "validation"}
    table = {}
    for rival in RIVALS:
        table[rival] = rival_daily(rival, splits, facts["target"])
        told = ", ".join(f"{split} {days.rmse:.4g}" for split, days in table[rival].items())
        print(f"{rival}: RMSE {told}", flush=True)
    daily.write(Path("data/climate/rivals.parquet"), table)


if __name__ == "__main__":
    run(main)
