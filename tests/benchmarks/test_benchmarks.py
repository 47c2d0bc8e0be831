"""Each benchmark at a tiny size: it runs, and its JSON says what was measured, where and how fast."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks import (
    architectures,
    augmentation,
    bow,
    century,
    century_files,
    downscaling,
    embedding,
    generation,
    gradcam,
    larger,
    limits,
    machine,
    memory,
    readers,
    textbook,
    workload,
)  # fmt: skip
from benchmarks.__main__ import NAMES
from convoy.training.batches import Batch
from convoy.training.devices import _bfloat16_pays
from tests.conftest import ROOT
from tests.support.rated import Rated, always, at_home, splits


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors gain nothing from more, and wait for each other where others compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def smaller_products(monkeypatch):
    """The largest product takes six seconds, at little more operations a second."""
    monkeypatch.setitem(limits.SIZES, "cpu", (512, 1024))


def facts(path, name):
    """The content of a result, after what holds for all of them."""
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["benchmark"] == name
    assert found["machine"]["cores"] == machine.cores()
    assert found["machine"]["cpu"]
    assert all(found["versions"].values())
    for row in found["rows"]:
        numbers = [value for value in row.values() if isinstance(value, float | int)]
        assert numbers
        assert all(map(math.isfinite, numbers)), row
    return found


def test_embedding(tmp_path):
    found = facts(embedding.run(items=400, textbook_items=40, rounds=1, results=tmp_path), "embedding")
    rows = {row["side"]: row for row in found["rows"]}
    assert set(rows) == {*embedding.FORWARDS, embedding.LOOP, *embedding.REQUIRED}
    fastest = max(rows[side]["items/s"] for side in embedding.FORWARDS)
    for side, row in rows.items():
        seconds = found["measured"]["seconds"][side]
        assert row["items/s"] == pytest.approx(row["items"] / seconds[0])
        assert row["times the faster forward"] == pytest.approx(row["items/s"] / fastest)
    assert 0 < found["measured"]["largest difference"] < 1e-4


def test_readers(tmp_path):
    found = facts(readers.run(items=300, rounds=1, results=tmp_path), "readers")
    rows = {row["side"]: row for row in found["rows"]}
    assert {readers.NPY, readers.PYARROW, readers.MMAP, readers.FAISS, readers.PRODUCT, "pandas"} < set(rows)
    for side, row in rows.items():
        (seconds,) = found["measured"]["seconds"][side]
        base = readers.PRODUCT if side in (readers.FAISS, readers.PRODUCT) else readers.NPY
        assert row["times the seconds of NumPy"] == pytest.approx(seconds / rows[base]["seconds"])
    assert rows[readers.PYARROW]["goal at 1,000,000, s"] == 2


def test_bow(tmp_path, capsys):
    path = bow.run(items=400, rounds=1, results=tmp_path, tuned=bow.TUNED[:1], choices=(1,))
    if importlib.util.find_spec("fasttext") is None:
        assert path is None
        assert "3.11" in capsys.readouterr().out
        return
    found = facts(path, "bow")
    assert len(found["rows"]) == 2 * (1 + len(bow.OURS))
    baseline = {}
    for row in found["rows"]:
        if row["side"].startswith("fastText"):
            baseline = row
        elif row["times as fast"] == "not reached":
            assert row["epochs"] == 1
            assert row["validation"] < baseline["validation"]
        else:
            assert row["validation"] >= baseline["validation"]
            assert row["times as fast"] == pytest.approx(baseline["whole, s"] / row["whole, s"])


def test_generation(tmp_path):
    allowed = os.sched_getaffinity(0)
    found = facts(generation.run([100, 300], rounds=1, results=tmp_path), "generation")
    assert [row["items"] for row in found["rows"]] == [100, 300]
    assert os.sched_getaffinity(0) == allowed


def test_memory(tmp_path):
    workload.write(tmp_path, [50, 400])
    found = facts(memory.measure(tmp_path, [50, 400], results=tmp_path), "memory")
    assert [row["items"] for row in found["rows"]] == [50, 400]
    # Libraries alone take more than 50 MB.
    assert all(row["peak, GB"] > 0.05 for row in found["rows"])


def test_downscaling(tmp_path):
    found = facts(downscaling.run(days=48, rounds=1, results=tmp_path), "downscaling-cpu")
    assert [row["phase"] for row in found["rows"]] == ["training, batch 16", "inference"]
    for row in found["rows"]:
        assert row["times"] == pytest.approx(row["ours, fields/s"] / row["plain, fields/s"])
        assert 0 < row["share of arithmetic limit"] < 1
    assert found["measured"]["precision of ours"] == ("bfloat16" if _bfloat16_pays("cpu") else "float32")
    assert 0 < found["measured"]["largest difference, K"] < 1e-2


def test_gradcam(tmp_path):
    found = facts(gradcam.run(images=2, rounds=1, results=tmp_path), "gradcam")
    assert {row["network"] for row in found["rows"]} == set(gradcam.NETWORKS)
    for row in found["rows"]:
        assert row["times"] == pytest.approx(row["maps, s"] / row["forward and backward, s"])
        assert (row["at most"] is not None) == (row["maps by"] == "Grad-CAM")
    assert found["measured"]["tensors left after 50 calls"] <= 0


def test_augmentation(tmp_path):
    found = facts(augmentation.run({4: 130}, rounds=1, results=tmp_path), "augmentation-cpu")
    assert [row["images"] for row in found["rows"]] == [130, 130]
    for row in found["rows"]:
        assert row["times"] == pytest.approx(row["ours, images/s"] / row["plain, images/s"])
    assert 0 < found["rows"][0]["ours: share of limit"] < 1


def test_architectures(tmp_path):
    names = ["lenet5", "plain convolutions, width 16", "separable convolutions, width 16"]
    found = facts(architectures.run(names, rounds=1, results=tmp_path), "architectures-cpu")
    assert [row["network"] for row in found["rows"]] == names
    _, plain, separable = found["rows"]
    assert separable["10^6 operations"] < 0.25 * plain["10^6 operations"]
    for row in found["rows"]:
        expected = row["10^6 operations"] / row["ms per image"]
        assert row["10^9 operations/s"] == pytest.approx(expected)


def test_both_sides_of_the_augmentation_have_images_alike():
    examples = augmentation._examples(2000, 0)
    plain = torch.cat([images for images, _ in augmentation._loader(examples)])
    ours, _ = examples.draw(Batch(torch.arange(2000), (2000,)), training=True)
    for measure in (lambda images: images.mean((0, 2, 3)), lambda images: images.std((0, 2, 3))):
        torch.testing.assert_close(measure(plain), measure(ours), atol=0.05, rtol=0)


def test_the_limit_is_the_better_product_and_emulated_bfloat16_is_none():
    script = (
        f"import json; from benchmarks import limits; limits.SIZES = {limits.SIZES}; "
        "print(json.dumps(limits.measure_limits('cpu')))"
    )
    for emulated in ({}, machine.AVX2):
        shown = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **emulated},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = json.loads(shown.stdout)
        either = {found["operations/s, float32"], found["operations/s, bfloat16"]}
        assert found["operations/s"] == max(either)
        assert min(either) > 0
    assert found["operations/s"] == found["operations/s, float32"]


def test_century(tmp_path):
    century_files.write(tmp_path, [1, 2])
    found = facts(century.measure(tmp_path, [1, 2], results=tmp_path), "century")
    assert [row["years"] for row in found["rows"]] == [1, 2]
    # 64 x 64 float32 a day in whole chunks of 90 days, of which compression leaves about half.
    assert 0.3 < found["rows"][1]["written, GB"] / (9 * 90 * 64 * 64 * 4e-9) < 0.8


def test_larger_sets_what_the_readme_says_and_shows_every_split():
    chosen = larger.settings((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [setting.partition("=")[0] for setting in chosen] == [
        "climate.models.residual.hidden", "climate.models.residual.training.epochs",
        "climate.grids.synthetic.years",
    ]  # fmt: skip
    metrics = Rated({"ridge": at_home(0.3), "bicubic": always(0.9)}, splits(60)).metrics["ridge"]
    rows = {row["split"]: row for row in larger.rows(metrics)}
    assert sorted(rows) == ["test", "unseen_terrain", "warmer_2k", "warmer_4k"]
    assert rows["test"]["RMSE, K"] == metrics["test"]["rmse"]


def test_peak_memory_is_that_of_the_process_itself(tmp_path):
    # 200 MB more held by the child must show as such.
    script = (
        "import sys; from benchmarks.memory import peak; print(peak([sys.executable, '-c', sys.argv[1]])[0])"
    )
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", script, code], cwd=ROOT, capture_output=True, check=True
            ).stdout
        )
        for code in ("pass", "bytearray(b'1') * 200_000_000")
    ]
    assert peaks[1] - peaks[0] == pytest.approx(2e8, rel=0.1)


def test_textbook_network_has_the_size_of_ours():
    network = textbook.TextCNN(30_000, num_classes=20)
    assert sum(weight.numel() for weight in network.parameters()) == 3_994_500 + 300 * 20 + 20


def test_textbook_trains_and_embeds():
    # Two classes told apart by one word.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        labels = torch.arange(40) % 2
        tokens_NL = torch.randint(4, 20, (40, 12))
        tokens_NL[:, 5] = 2 + labels
        network = textbook.TextCNN(20, 8, 6, num_classes=2, dropout=0.0)
        batches = textbook.loader(textbook.Texts(tokens_NL, labels), batch_size=10)
        optimiser = textbook.adam(network)
        losses = [textbook.train_epoch(network, batches, optimiser) for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]
    vectors = textbook.embed(network, textbook.loader(batches.dataset, shuffle=False, batch_size=7))
    with torch.no_grad():
        assert np.allclose(vectors, network.get_embedding(tokens_NL).numpy(), atol=1e-6)


def test_padded():
    tokens, offsets = np.array([5, 6, 7, 8, 9], np.int32), np.array([0, 2, 2, 5])
    found = textbook.padded(tokens, offsets, np.array([2, 0, 1]), length=2)
    assert found.tolist() == [[7, 8], [5, 6], [0, 0]]


def test_sides_take_turns_and_the_first_round_does_not_count():
    calls = []
    seconds = machine.in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert {side: len(values) for side, values in seconds.items()} == {"a": 2, "b": 2}


def test_results_are_named_by_the_machine(tmp_path, capsys):
    rows = [{"side": "a", "items/s": 12345.6}, {"side": "b", "items/s": None, "times": 0.25}]
    path = machine.report("some", rows, {}, ["numpy"], tmp_path)
    assert path.name.startswith(f"some.{machine.cores()}-cores-")
    shown = capsys.readouterr().out
    assert machine.cpu() in shown
    assert "12,346" in shown
    assert "0.25" in shown


def test_a_result_says_that_the_cpu_was_limited(tmp_path, monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    path = machine.report("some", [{"side": "a", "items/s": 1.0}], {}, ["numpy"], tmp_path)
    assert path.name.endswith("-limited-to-avx2.json")
    assert json.loads(path.read_text(encoding="utf-8"))["machine"]["limited to"] == "AVX2"


def test_cores_are_those_that_the_process_may_use():
    one = min(os.sched_getaffinity(0))
    script = (
        f"import os; os.sched_setaffinity(0, [{one}]); from benchmarks.machine import cores; print(cores())"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "1\n"


def test_every_part_is_shown_as_it_begins_and_as_it_ends(capfd):
    shown = []
    machine.in_turn({"a": lambda: shown.append(capfd.readouterr().out)}, 1, "training")
    shown.append(capfd.readouterr().out)
    assert [re.sub(r"\d\.\d", "X", text) for text in shown] == [
        "  training, warm-up: a …", " X s\n  training, round 1 of 1: a …", " X s\n",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="broken"), machine.part("b"):
        raise ValueError("broken")
    assert capfd.readouterr().out == "  b … failed\n"


def test_every_benchmark_that_reports_is_run_by_make_bench():
    reporting = re.compile(r"from benchmarks\.machine import .*\breport\b")
    found = {
        path.stem for path in (ROOT / "benchmarks").glob("*.py") if reporting.search(path.read_text("utf-8"))
    }
    assert set(NAMES) == found - {"larger"}  # trains for as long as the README's setting needs


def test_an_unknown_benchmark_is_refused():
    command = [sys.executable, "-m", "benchmarks", "speed"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "no benchmark 'speed'" in refused.stderr


def test_workload_is_the_default_catalogue():
    table = workload.cleaned(workload.raw(300))
    corpus = workload.corpus(table)
    assert table.num_rows == len(corpus.labels) == 300
    assert len(corpus.categories) == 20
