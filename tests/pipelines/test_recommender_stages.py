"""The stages of the recommender on files in the format of MovieLens, with ids of another system."""

import json
from pathlib import Path

import numpy as np

from tests.pipelines import workspace

MOVIES, USERS = 120, 40


def write_files(folder: Path) -> None:
    """ratings.csv, movies.csv and links.csv as MovieLens has them, and a catalogue with the ids of IMDb."""
    rng = np.random.default_rng(0)
    genres = ["Drama", "Comedy|Drama", "Horror"]
    movies, links, titles = ["movieId,title,genres"], ["movieId,imdbId,tmdbId"], ["imdb,title,plot,genres"]
    for number in range(MOVIES):
        movie, imdb, genre = number + 1, f"{number * 37:07d}", genres[number % 3]
        movies.append(f'{movie},"Film no. {number}, The (1995)",{genre}')
        links.append(f"{movie},{imdb},{number + 862}")
        titles.append(f'{imdb},"Film no. {number}, The","A {genre.lower()} of number {number % 9}",{genre}')
    ratings = ["userId,movieId,rating,timestamp"]
    for user in range(1, USERS + 1):
        for at, movie in enumerate(rng.permutation(MOVIES)[:60] + 1):
            liked = (movie - 1) % 3 == user % 3
            rating = rng.integers(7, 11) / 2 if liked else rng.integers(1, 8) / 2
            ratings.append(f"{user},{movie},{rating},{964_980_000 + 86_400 * at + user}")
    for name, lines in (("ratings", ratings), ("movies", movies), ("links", links), ("titles", titles)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_movielens_runs_through_by_params_alone(tmp_path: Path) -> None:
    folder = workspace.make(
        tmp_path / "project",
        {
            "streamrec.catalogue": {
                "source": "titles.csv",
                "columns": {"item_id": "imdb", "title": "title", "synopsis": "plot", "category": "genres"},
                "category_separator": "|",
            },
            "streamrec.recommender.interactions": {
                "source": "ratings.csv",
                "columns": {"user_id": "userId", "item_id": "movieId"},
                "id_map": {"file": "links.csv"},
            },
            "streamrec.recommender.clicks": {"seeds": [0], "training": {"epochs": 12, "batch_size": 128}},
            "streamrec.recommender.representations": ["none", "popularity", "category", "linear_pairs"],
        },
    )
    write_files(folder)
    stages = ("catalogue", "interactions", "interactions_gate", "recommender")
    done = workspace.shell(" && ".join(f"pipelines/run streamrec/{stage}.py" for stage in stages), folder)
    assert done.returncode == 0, done.stdout
    data = folder / "data/streamrec"
    assert (data / "embeddings").is_dir()  # on which the recommender depends, also where no network fills it
    report = json.loads((data / "interactions_report.json").read_text())
    assert (report["events"], report["users"], report["items"]) == (USERS * 60, USERS, MOVIES)
    assert report["cleaned"]["time_unit"] == "s"
    metrics = json.loads((data / "metrics/recommender.json").read_text())
    details = json.loads((data / "recommender.json").read_text())
    assert set(metrics) == {"clicks", "cold"}
    assert set(metrics["clicks"]) == set(details["clicks"]) == {"none", "category", "linear_pairs"}
    assert set(details["retrieval"]) == {"popularity", "category", "linear_pairs"}
    assert set(metrics["cold"]) == {name for name, one in details["retrieval"].items() if "cold" in one}
    clicks = metrics["clicks"]["category"]
    assert clicks.items() < details["clicks"]["category"].items()
    assert clicks["auc_low"] <= clicks["auc"] <= clicks["auc_high"]
    assert clicks["auc"] > metrics["clicks"]["none"]["auc"] + 0.1
    assert "ratings.csv" in (data / "recommender.html").read_text(encoding="utf-8")
    assert (data / "plots/recommender/ladder.png").is_file()
    folders = {path.name for path in (data / "ladder").iterdir()}
    assert folders == {"none", "popularity", "category", "linear_pairs"}
    of_ladder = json.loads((data / "ladder/category/metrics.json").read_text())
    assert of_ladder["clicks"]["auc"] == clicks["auc"]
