"""MLflow's real pages in a real browser, as a person meets them."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from convoy.projects import TASKS
from convoy.streamrec.classification.task import TASK as CLASSIFICATION
from convoy.tracking.dashboard import views
from tests.tracking.servers import dashboard, free_port

WINDOW: Any = {"width": 1500, "height": 950}
TALL: Any = {**WINDOW, "height": 3600}  # charts that are far out of sight are not drawn
SLOW = 60_000.0  # milliseconds: the first page waits for imports of the server


def test_a_view_fits_into_a_tag_of_any_store() -> None:
    # Servers of earlier releases refuse longer ones.
    for task in TASKS:
        assert all(len(value) < 5000 for value in views.tags(task).values())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        program = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield program
        program.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A first visit."""
    context = browser.new_context(viewport=WINDOW, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(SLOW)
    expect.set_options(timeout=SLOW)
    yield page
    context.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures of the pages are kept: CONVOY_SCREENSHOTS, or with the test's own files."""
    folder = Path(os.environ.get("CONVOY_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_person_finds_the_best_model_its_curve_its_pictures_and_its_versions(
    published_project: Path, tmp_path: Path, page: Page, screenshots: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with dashboard(published_project, free_port(), tmp_path / "log") as (_, port):
        page.goto(f"http://127.0.0.1:{port}/")
        finds_the_task(page, published_project)
        page.screenshot(path=screenshots / "1-experiments.png")
        page.get_by_role("link", name="streamrec/text", exact=True).click()
        finds_the_best_model(page, published_project)
        page.screenshot(path=screenshots / "2-runs.png")
        finds_curves_and_bayes(page, screenshots)
        page.get_by_role("link", name=re.compile("^textcnn")).first.click()
        finds_the_run(page, published_project, screenshots)
        page.get_by_role("link", name="Model registry").click()
        finds_the_versions(page, published_project, screenshots)
    here = ("data:", "blob:", f"http://127.0.0.1:{port}/")
    elsewhere = {url for url in asked if not url.startswith(here)}
    assert not elsewhere, "the pages ask the internet"


def metrics(project: Path) -> dict[str, dict[str, Any]]:
    folder = project / "data" / "streamrec" / "metrics"
    kinds = ("bow", "textcnn", "linear", "linear_pairs", "majority")
    return {kind: json.loads((folder / f"{kind}.json").read_text())["test"] for kind in kinds}


def best(project: Path) -> str:
    found = metrics(project)
    return max(found, key=lambda kind: found[kind]["accuracy"])


def finds_the_task(page: Page, project: Path) -> None:
    """No tour of other tools: the list of experiments, each with its best model."""
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()
    row = page.get_by_role("row", name="streamrec/text")
    expect(row).to_contain_text("StreamRec: the category")
    expect(row).to_contain_text(f"{best(project)}, {metrics(project)[best(project)]['accuracy']:.1%}")
    expect(page.get_by_placeholder("Ask a question")).to_have_count(0)


def finds_the_best_model(page: Page, project: Path) -> None:
    """The table of runs: best first, figures in columns, and in words above it."""
    first = page.locator('.ag-row[row-index="0"]')
    expect(first.locator('[col-id="attributes.`Run Name`"]')).to_contain_text(f"{best(project)} · synthetic")
    accuracy = metrics(project)[best(project)]["accuracy"]
    expect(first.locator('[col-id="metrics.`test_accuracy`"]')).to_have_text(str(accuracy))
    for name in CLASSIFICATION.pages.columns:
        expect(page.get_by_test_id(f"sort-header-{name}")).to_be_visible()
    expect(page.get_by_text("Best on synthetic default, 1,000 items")).to_be_visible()
    expect(page.get_by_role("link", name=f"accuracy {accuracy:.1%} on test items")).to_be_visible()


def finds_curves_and_bayes(page: Page, screenshots: Path) -> None:
    """The charts of all runs: curves beside the Bayes accuracy, and the confusion pictures side by side."""
    cards = page.get_by_test_id("experiment-view-compare-runs-card")
    page.locator('label:has(input[value="CHART"])').click()
    curve = cards.filter(has_text="validation_accuracy vs bayes")
    expect(curve.locator(".scatterlayer .trace").first).to_be_visible()
    expect(cards.filter(has_text="test_accuracy vs bayes").locator(".bars .point").first).to_be_visible()
    page.set_viewport_size(TALL)
    for name, count in (("accuracy", 1), ("confusion", 2), ("curve", 2)):
        images = cards.filter(has=page.get_by_text(name, exact=True)).locator("img")
        expect(images).to_have_count(count)
        for image in images.all():
            loads(image)
    page.screenshot(path=screenshots / "3-charts.png")
    page.set_viewport_size(WINDOW)


def finds_the_run(page: Page, project: Path, screenshots: Path) -> None:
    """A model's own page: words and pictures, its curve, and the confusion picture in full."""
    accuracy = f"{metrics(project)['textcnn']['accuracy']:.1%}"
    expect(page.get_by_text(f"TextCNN: accuracy {accuracy} on test items")).to_be_visible()
    page.screenshot(path=screenshots / "4-run.png")
    page.get_by_text("Show more").click()
    for image in ("confusion", "curve", "reliability"):
        loads(page.locator(f'img[src*="notes/{image}.png"]'))
    about = page.get_by_text("About this run").bounding_box()
    assert about is not None
    assert about["x"] < WINDOW["width"], "wide pictures push the rest of the page out of sight"
    page.screenshot(path=screenshots / "5-run-pictures.png", full_page=True)
    page.get_by_role("tab", name="Model metrics").click()
    page.set_viewport_size(TALL)
    chart = page.get_by_test_id("experiment-view-compare-runs-card").filter(has_text="validation_loss")
    expect(chart.locator(".scatterlayer .trace").first).to_be_visible()
    page.screenshot(path=screenshots / "6-curves.png")
    page.set_viewport_size(WINDOW)
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("plots", exact=True).click()
    page.get_by_text("confusion.png", exact=True).click()
    loads(page.get_by_alt_text("plots/confusion.png"))
    page.screenshot(path=screenshots / "7-confusion.png")


def finds_the_versions(page: Page, project: Path, screenshots: Path) -> None:
    """The registered model, its aliases, and a version with its figures."""
    page.get_by_role("link", name="streamrec-text").click()
    expect(page.get_by_text("is the version in use")).to_be_visible()
    challenger = page.get_by_role("row", name=re.compile("challenger"))
    expect(challenger).to_be_visible()
    page.screenshot(path=screenshots / "8-model.png")
    challenger.get_by_role("link", name=re.compile("^Version")).click()
    expect(page.get_by_text("Registered At:")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^(TextCNN|Bag of words): accuracy \d"))).to_have_count(1)
    expect(page.get_by_text("challenger")).to_be_visible()
    cells = page.get_by_role("row", name=re.compile(r"^test_accuracy "))
    shown = {f"{metrics(project)[kind]['accuracy']:.6g}" for kind in ("bow", "textcnn")}
    expect(cells).to_contain_text(re.compile("|".join(re.escape(text) for text in shown)))
    page.screenshot(path=screenshots / "9-version.png")


def loads(image: Locator) -> None:
    """The picture itself is there, not the mark of a broken one."""
    image.scroll_into_view_if_needed()
    expect(image).not_to_have_js_property("naturalWidth", 0)
