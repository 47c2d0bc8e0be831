"""The studies: their task, their measures compared with closed forms, what their committed outputs show."""

import csv
import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from markupsafe import escape

from convoy.core import params
from convoy.core.errors import ConvoyError
from convoy.nn.images import IMAGE_MODELS, PlainCNN, ResNetCifar
from convoy.studies import architectures, depth, findings, gratings, separable, shifts, sizes, tables
from convoy.training.loop import seeded
from tests.contracts import stage_modules
from tests.contracts.stage_modules import ROOT


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors gain nothing from more, and wait for each other where others compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


FOLDER = ROOT / "pipelines/studies"
MODELS = {
    "architectures": architectures.ArchitectureParams, "depth": depth.DepthParams,
    "separable": separable.SeparableParams, "shifts": shifts.ShiftParams,
}  # fmt: skip


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def committed(study):
    return rows((ROOT / f"data/studies/{study}/{study}.csv").read_text(encoding="utf-8"))


def test_deps_of_every_stage_are_its_imports():
    found = stage_modules.differences((FOLDER / "dvc.yaml").read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


def test_the_params_file_has_every_key_with_its_default():
    written = yaml.safe_load((FOLDER / "params.yaml").read_text(encoding="utf-8"))
    assert set(written) == set(MODELS)
    for section, model in MODELS.items():
        assert params.load(section, model, FOLDER / "params.yaml") == model()
        assert set(written[section]) == set(model.model_fields)


def test_a_grating_has_the_wavelength_and_direction_of_its_class():
    images, labels = gratings.gratings(60, 64, seed=1, noise=0.0)
    assert set(labels.tolist()) == set(range(gratings.CLASSES))
    spectra = torch.fft.fft2(images[:, 0]).abs().numpy()
    frequencies = np.fft.fftfreq(64)
    for label, spectrum in zip(labels.tolist(), spectra, strict=True):
        y, x = (frequencies[place] for place in np.unravel_index(spectrum.argmax(), spectrum.shape))
        angle = np.arctan2(y, x) % np.pi
        expected = label % gratings.DIRECTIONS * np.pi / gratings.DIRECTIONS
        assert min(abs(angle - expected), np.pi - abs(angle - expected)) < 0.1
        assert 1 / np.hypot(y, x) == pytest.approx(
            gratings.WAVELENGTHS[label // gratings.DIRECTIONS], rel=0.07
        )


def test_noise_has_its_deviation_and_the_splits_are_apart():
    clean, labels = gratings.gratings(50, 16, 3, 0.0)
    noisy, again = gratings.gratings(50, 16, 3, 2.0)
    assert torch.equal(labels, again)
    assert (noisy - clean).std() == pytest.approx(2, rel=0.03)
    train, validation = gratings.train_and_validation(40, 16, 3, 2.0)
    assert (len(train), len(validation)) == (40, 10)
    assert torch.equal(torch.cat([train.images, validation.images]), noisy)
    assert train.standard == validation.standard


def test_gradient_norms_are_those_of_a_backward_pass():
    with seeded(0):
        network = ResNetCifar(8, gratings.CLASSES, in_channels=1)
    train, _ = gratings.train_and_validation(32, 16, 0, 1.0)
    found = depth.gradient_norms(network, train, 16)
    assert all(weight.grad is None for weight in network.parameters())
    images = (train.images[:16] - train.standard.mean[0]) / train.standard.std[0]
    F.cross_entropy(network(images), train.labels[:16]).backward()
    layers = [network.stem[0]]
    layers += [layer for stage in network.stages for block in stage for layer in (block.conv1, block.conv2)]
    assert found == pytest.approx([float(layer.weight.grad.norm()) for layer in layers], rel=1e-4)


def test_gradients_of_deep_plain_networks_explode_with_random_weights():
    train, _ = gratings.train_and_validation(32, 12, 0, 1.0)
    shares = {}
    for kind in (PlainCNN, ResNetCifar):
        with seeded(0):
            norms = depth.gradient_norms(kind(56, gratings.CLASSES, in_channels=1), train, 32)
        shares[kind] = norms[0] / norms[-1]
    assert shares[PlainCNN] > 10 * shares[ResNetCifar]


@pytest.mark.parametrize("name", depth.NETWORKS)
def test_the_depth_study_trains_and_writes(name):
    small = depth.DepthParams(images=64, image_size=8, depths=(8, 14), epochs=1, threads=1)
    found = [depth.train_one(name, layers, small) for layers in small.depths]
    files = tables.depth_files(found)
    assert [row["layers"] for row in rows(files["depth.csv"])] == ["8", "14"]
    assert [int(row["layer"]) for row in rows(files["gradients.csv"])] == [*range(1, 8), *range(1, 14)]
    assert files["depth.png"].startswith(b"\x89PNG")
    assert depth.train_one(name, 8, small) == found[0]


def test_separable_networks_are_smaller_by_the_closed_form():
    # A layer from a to b channels: 9ab weights, or 9a + ab and a second norm of 2a.
    plain, split = (separable.network(kind, 8) for kind in separable.KINDS)
    widths = [(8, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32)]
    difference = sum(9 * a * b - (9 * a + a * b + 2 * a) for a, b in widths)
    count = separable.parameter_count
    assert count(plain) - count(split) == difference
    small = separable.SeparableParams(images=64, image_size=8, widths=(4,), epochs=1, threads=1)
    found = [separable.train_one(kind, 4, small) for kind in separable.KINDS]
    files = tables.separable_files(found)
    assert [row["convolution"] for row in rows(files["separable.csv"])] == ["plain", "separable"]
    assert found[1].operations < found[0].operations


def test_the_architectures_study_trains_and_writes():
    small = architectures.ArchitectureParams(images=64, networks=("lenet5", "plain20"), epochs=1, threads=1)
    found = [architectures.train_one(name, small) for name in small.networks]
    files = tables.architecture_files(found)
    first, second = rows(files["architectures.csv"])
    # LeNet-5 with one channel has 61,706 parameters (chapter) on images of 32 x 32.
    assert (first["network"], first["parameters"]) == ("lenet5", "61706")
    multiplications = 28**2 * 6 * 25 + 10**2 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert int(first["operations"]) == 2 * multiplications
    assert second["network"] == "plain20"
    assert files["architectures.png"].startswith(b"\x89PNG")
    (text, times) = findings.architecture_section([first, second], b"").paragraphs
    assert "The most parameters, 269,434, are those of plain20" in text
    assert "make bench ARGS=architectures" in times


def test_an_unknown_network_is_refused():
    params = architectures.ArchitectureParams(networks=("resnet1000",))
    with pytest.raises(ConvoyError, match=r"architectures\.networks: expected some of lenet5"):
        architectures.train_one(params.networks[0], params)


def test_no_words_of_the_page_rerun_a_training():
    dvc_yaml = (FOLDER / "dvc.yaml").read_text(encoding="utf-8")
    assert stage_modules.reruns(dvc_yaml, "src/convoy/studies/findings.py") == {"study-page"}
    changed = stage_modules.reruns(dvc_yaml, "src/convoy/studies/depth.py")
    assert changed == {"study-depth", "study-page"}


@pytest.mark.parametrize(
    ("value", "text"),
    [("61706", "61,706"), ("0.123456", "0.123"), ("84713.5", "84,714"), ("plain", "plain"), ("", ""),
     ("1.5e-06", "1.5e-06"), ("37.2345", "37.2")],
)  # fmt: skip
def test_numbers_of_tables_are_readable(value, text):
    assert findings.readable(value) == text


def test_sizes():
    found = {
        each.name: each for each in sizes.sizes(["lenet5", "plain20", "efficientnet_b0", "efficientnet_b1"])
    }
    # LeNet-5 with 3 channels: 28^2 x 6 x 75 + 10^2 x 16 x 150 + 400 x 120 + 120 x 84 + 84 x 10.
    lenet = 28**2 * 6 * 75 + 100 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert found["lenet5"].gflops == pytest.approx(2 * lenet / 1e9)
    assert found["efficientnet_b1"].by_compound_scaling == pytest.approx(1.2 * 1.1**2 * 1.15**2)
    written = {row["name"]: row for row in committed("sizes")}
    for row in rows(tables.size_files(list(found.values()))["sizes.csv"]):
        assert row == written[row["name"]]


def test_sizes_of_all_networks_are_the_published_ones():
    found = {row["name"]: row for row in committed("sizes")}
    assert list(found) == list(IMAGE_MODELS)
    # Tan and Le (2019), table 2, and He et al. (2016a), table 1: billions of multiplications.
    published = {"efficientnet_b0": 0.39, "efficientnet_b4": 4.2, "efficientnet_b7": 37, "resnet18": 1.8}
    for name, multiplications in published.items():
        assert float(found[name]["gflops"]) / 2 == pytest.approx(multiplications, rel=0.05)
    assert int(found["simple_cnn"]["receptive_field"]) == int(found["resnet18"]["receptive_field"]) == 435


def test_shifts_commute_with_circular_convolution_and_with_multiples_of_the_stride():
    found = shifts.measure(shifts.ShiftParams(images=8, image_size=16, largest_shift=4))
    at = {(each.variant, each.shift): each for each in found}
    for variant, (strides, padding, _) in shifts.VARIANTS.items():
        step = int(np.prod(strides))
        for shift in range(5):
            one = at[variant, shift]
            if shift % step == 0 and padding == "circular":
                assert one.features < 1e-5
                assert one.pooled < 1e-3
            elif shift:
                assert one.features > 0.05
                assert one.pooled > 0.05


def test_averaging_before_a_stride_keeps_more_of_the_equivariance():
    found = [row for row in committed("shifts") if row["shift"] == "1"]
    by_variant = {row["variant"]: float(row["features"]) for row in found}
    plain, averaged = (by_variant[name] for name in list(shifts.VARIANTS)[-2:])
    assert averaged < 0.5 * plain


def test_the_depth_study_shows_the_point_of_the_chapter():
    losses = {(row["network"], int(row["layers"])): float(row["train_loss"]) for row in committed("depth")}
    assert set(losses) == {(name, layers) for name in depth.NETWORKS for layers in (20, 56)}
    assert losses["plain", 56] > losses["plain", 20]
    assert losses["residual", 56] <= losses["residual", 20]
    assert losses["pre-activation", 56] <= losses["pre-activation", 20]


def test_the_page_has_the_findings_of_the_committed_tables():
    page = (ROOT / "data/studies/studies.html").read_text(encoding="utf-8")
    for name, section in findings.SECTIONS.items():
        found = section(committed(name), b"\x89PNG" + bytes(20))
        assert found.paragraphs
        assert all(escape(paragraph) in page for paragraph in found.paragraphs)


@pytest.mark.parametrize(
    ("deep", "words"), [("2.5", "of 2.5, higher than"), ("0.1", "of 0.1, not higher than")]
)
def test_a_finding_follows_its_table(deep, words):
    table = [
        {"network": "plain", "layers": layers, "train_loss": loss, "validation_accuracy": "0.5",
         "first_gradient": "10", "last_gradient": "1"}
        for layers, loss in (("20", "0.5"), ("56", deep))
    ]  # fmt: skip
    (sentence,) = findings.depth_section(table, b"").paragraphs
    assert words in sentence
    assert "of 20 layers, 0.5." in sentence


def test_separable_convolutions_need_a_fraction_of_the_parameters():
    found = {(row["convolution"], row["width"]): row for row in committed("separable")}
    for width in ("16", "32"):
        plain, split = found["plain", width], found["separable", width]
        assert int(split["parameters"]) < 0.25 * int(plain["parameters"])
        assert int(split["operations"]) < 0.25 * int(plain["operations"])
