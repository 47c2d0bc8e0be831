"""Make or read the images of the events task: maps, class folders or CIFAR-10's files."""

from pathlib import Path

from convoy.climate.events.data.io import write
from convoy.climate.events.sources.io import ImagesParams, images_of, summary
from convoy.core.params import load
from convoy.core.stage import run


def main() -> None:
    """Write the folder data/climate/events/images."""
    images = images_of(load("climate.events.images", ImagesParams))
    write(Path("data/climate/events/images"), images)
    print(summary(images))


if __name__ == "__main__":
    run(main)
