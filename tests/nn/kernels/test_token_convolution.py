"""The fast ways through TextCNN's convolutions, CPU and GPU, against the plain convolution."""

from types import ModuleType
from typing import cast

import numpy as np
import pytest
import torch
from numba import njit
from torch import Tensor

from convoy.nn.kernels.token_convolution import Texts, window_maxima
from convoy.nn.kernels.token_convolution_loops import rounded, widened
from convoy.nn.text import TextCNN

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def gpu_path(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The GPU's kernels: on a GPU in bfloat16, else in Triton's interpreter on the CPU in float32.

    Rows that no text fills hold whatever was in memory. Here that is NaN, so that none of it can count
    unseen; infinities by chance made the interpreter's products warn.
    """
    from convoy.nn.kernels import token_convolution_cuda as windows_cuda

    def unwritten(_: object, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        value = torch.nan if dtype.is_floating_point else torch.iinfo(dtype).max
        return torch.full(shape, value, dtype=dtype, device=DEVICE)

    monkeypatch.setattr(windows_cuda.Batch, "_empty", unwritten)
    return windows_cuda


def texts(lengths: list[int], width: int, vocab: int = 40) -> Tensor:
    tokens = torch.randint(1, vocab, (len(lengths), width), generator=torch.Generator().manual_seed(0))
    return tokens * (torch.arange(width) < torch.tensor(lengths)[:, None])


def network(kernels: tuple[int, ...], filters: int = 5, dim: int = 6) -> TextCNN:
    torch.manual_seed(1)
    model = TextCNN(40, dim, filters, kernels, num_classes=4)
    for name, values in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(values)  # negative scales too
    return model


def arguments(model: TextCNN, statistics: Tensor | None = None) -> tuple:
    parts = model._parts()
    norms = [norm for _, _, norm in parts]
    gamma, beta = torch.cat([norm.weight for norm in norms]), torch.cat([norm.bias for norm in norms])
    weights = [convolution.weight for _, convolution, _ in parts]
    return model.kernel_sizes, 1e-5, statistics, model.embedding.weight, gamma, beta, *weights


def gradients(model: TextCNN, pooled: Tensor) -> dict[str, Tensor]:
    """Of a random weighting of the pooled values; the convolutions' biases have none, nor the classifier."""
    weight = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(2)).to(pooled)
    (pooled * weight).sum().backward()
    return {
        name: values.grad
        for name, values in model.named_parameters()
        if values.grad is not None and "convolution.bias" not in name
    }


def distance(one: Tensor, other: Tensor) -> float:
    return float(((one - other).norm() / other.norm()).detach())


LENGTHS = [0, 1, 2, 3, 5, 9, 14, 14, 20]


@pytest.mark.parametrize(("kernels", "filters", "dim"), [((3, 4, 5), 5, 6), ((1, 2), 70, 6), ((2,), 3, 130)])
def test_the_gpu_path_has_the_convolutions_values_and_gradients(
    gpu_path: ModuleType, kernels: tuple[int, ...], filters: int, dim: int
) -> None:
    tokens = texts(LENGTHS, 20).to(DEVICE)
    plain, fast = (network(kernels, filters, dim).to(DEVICE) for _ in range(2))
    expected = plain._convolved(tokens)
    pooled, mean, variance, count = gpu_path.WindowMaxima.apply(tokens, *arguments(fast))
    # In bfloat16 a few of the maxima fall on another window, which moves their gradient there.
    values, slopes = (1e-2, 0.25) if DEVICE == "cuda" else (1e-6, 1e-6)
    assert distance(pooled, expected) < values
    norms = [norm for _, _, norm in plain._parts()]
    biases = torch.cat([cast(Tensor, convolution.bias) for _, convolution, _ in plain._parts()])
    assert (
        distance(mean + biases, torch.cat([cast(Tensor, norm.running_mean) for norm in norms]) * 10) < values
    )
    correction = count / (count - 1)
    running = torch.cat([cast(Tensor, norm.running_var) for norm in norms])
    assert distance(variance * correction, (running - 0.9) * 10) < max(values, 1e-5)
    expected_gradients, found = gradients(plain, expected), gradients(fast, pooled)
    assert found.keys() == expected_gradients.keys()
    assert max(distance(found[name], expected_gradients[name]) for name in found) < slopes


def test_the_gpu_path_takes_given_statistics(gpu_path: ModuleType) -> None:
    model = network((3, 4)).to(DEVICE)
    for name, values in model.named_buffers():
        if "running" in name:
            values.uniform_(0.5, 2)
    model.eval()
    tokens = texts(LENGTHS, 20).to(DEVICE)
    parts = model._parts()
    biases = torch.cat([cast(Tensor, convolution.bias) for _, convolution, _ in parts])
    mean = torch.cat([cast(Tensor, norm.running_mean) for _, _, norm in parts])
    variance = torch.cat([cast(Tensor, norm.running_var) for _, _, norm in parts])
    statistics = torch.stack([mean - biases, variance])
    with torch.no_grad():
        pooled, *_ = gpu_path.WindowMaxima.apply(tokens, *arguments(model, statistics))
        expected = model._convolved(tokens)
    assert distance(pooled, expected) < (1e-2 if DEVICE == "cuda" else 1e-6)
    assert torch.equal(pooled[0], torch.zeros_like(pooled[0]))


def test_the_gpu_path_does_not_see_padding_and_repeats_to_the_byte(gpu_path: ModuleType) -> None:
    results = []
    for width in (20, 43):
        model = network((2, 3)).to(DEVICE)
        wide = torch.nn.functional.pad(texts(LENGTHS, 20), (0, width - 20)).to(DEVICE)
        pooled, *_ = gpu_path.WindowMaxima.apply(wide, *arguments(model))
        results.append([pooled, *gradients(model, pooled).values()])
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_on_a_gpu_training_under_bfloat16_takes_the_gpu_path(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network((3, 4, 5)).cuda()
    monkeypatch.setattr(model, "_convolved", lambda _: pytest.fail("the plain convolution was called"))
    with torch.autocast("cuda", torch.bfloat16):
        model(texts(LENGTHS, 20).cuda())


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            model = network((3, 4, 5), filters=33, dim=1)
            many = texts(list(np.random.default_rng(0).integers(0, 30, 300)), 30)
            _, eps, statistics, *tensors = arguments(model)
            pooled, mean, variance, _ = window_maxima(
                many, tensors[0], tensors[3:], tensors[1], tensors[2], eps, statistics
            )
            results.append([pooled, mean, variance, *gradients(model, pooled).values()])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


def test_under_autocast_the_cpu_path_agrees_within_bfloat16() -> None:
    tokens = texts(LENGTHS * 8, 20)
    results = []
    for bfloat16 in (False, True):
        model = network((3, 4, 5), filters=16, dim=32)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            pooled = model.get_embedding(tokens)
        results.append((pooled, gradients(model, pooled)))
    (expected, expected_gradients), (pooled, found) = results
    assert 0 < distance(pooled, expected) < 1e-2
    assert max(distance(found[name], expected_gradients[name]) for name in found) < 0.25


def test_bits_of_bfloat16_are_those_of_torch() -> None:
    """Halfway cases round to even; zeros keep their sign."""

    @njit
    def narrowed(values: np.ndarray, out: np.ndarray) -> None:
        for i in range(len(values)):
            out[i] = rounded(values[i], out[i])

    @njit
    def wide(bits: np.ndarray, out: np.ndarray) -> None:
        for i in range(len(bits)):
            out[i] = widened(bits[i])

    values = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    values[:1000] = (values[:1000] & 0xFFFF0000) | 0x8000
    values[-2:] = (0, 0x80000000)
    numbers = values.view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    bits, back = np.empty(len(numbers), np.uint16), np.empty(len(numbers), np.float32)
    narrowed(numbers, bits)
    wide(bits, back)
    expected = torch.from_numpy(numbers).bfloat16()
    np.testing.assert_array_equal(bits, expected.view(torch.uint16).numpy())
    np.testing.assert_array_equal(back, expected.float().numpy())


def test_one_word_texts_in_closed_form() -> None:
    """k = 1, one filter: windows are the words' own products; batch norm over them, then relu."""
    embedding = torch.tensor([[0.0], [1.0], [2.0], [4.0]])
    weight = torch.tensor([[[3.0]]])
    tokens = torch.tensor([[1, 0], [2, 3]])
    one = torch.ones(1)
    pooled, mean, variance, count = window_maxima(tokens, embedding, [weight], one, 0 * one, 0.0)
    windows = np.array([3.0, 6.0, 12.0])
    normal = (windows - windows.mean()) / windows.std()
    np.testing.assert_allclose(pooled[:, 0], [max(normal[0], 0), normal[2]], rtol=1e-6)
    assert (float(mean), float(variance), float(count)) == pytest.approx((7, windows.var(), 3))


def test_index_lists_every_occurrence_of_every_token_once() -> None:
    tokens = texts(LENGTHS, 20, vocab=7).numpy()
    index = Texts(tokens, 7, (3, 4))
    assert list(index.distinct) == sorted(set(tokens[tokens > 0]))
    for u, token in enumerate(index.distinct):
        rows = index.occurrences[index.first[u] : index.first[u + 1]]
        expected = [
            (index.starts[i] + j, j, index.lengths[i] - 1 - j) for i, j in np.argwhere(tokens == token)
        ]
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(index.ids[rows[:, 0]], u)
