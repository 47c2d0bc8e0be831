"""Stage publish: every trained and evaluated model of dvc.lock is in MLflow."""

from pathlib import Path

from convoy.core.files import write_json
from convoy.core.stage import run
from convoy.projects import TASKS
from convoy.tracking.publish import publish


def main() -> None:
    """Reconcile MLflow with dvc.lock and write what it holds; a second run changes nothing."""
    write_json(Path("data/published.json"), publish(TASKS))


if __name__ == "__main__":
    run(main)
