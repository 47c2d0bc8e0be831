"""Stage publish: every trained and evaluated model of dvc.lock is in MLflow."""

from pathlib import Path

from convoy.core.files import write_json
from convoy.core.stage import run
from convoy.tracking.publish import publish


def main() -> None:
    """Reconcile MLflow with dvc.lock and say what is there; the same again changes nothing."""
    write_json(Path("data/published.json"), publish())


if __name__ == "__main__":
    run(main)
