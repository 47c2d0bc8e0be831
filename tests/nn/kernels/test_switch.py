"""Every kernel can be turned off, and its plain twin computes the same; the page on kernels names each."""

import re

import numpy as np
import pytest
import torch

from convoy.core.errors import ConvoyError
from convoy.nn.kernels import lookup, lookup_plain, token_convolution, word_scan
from convoy.nn.kernels.switch import KERNELS, VARIABLE, enabled
from convoy.nn.text import TextCNN
from convoy.streamrec.classification.corpus import tokens
from tests.conftest import ROOT
from tests.support.tiny import flat, random_texts, textcnn_tensors

TEXTS = ["Don't panic: a café, 2 cafés", "東京 and ÅNGSTRÖM", "", "a b a c"]


def unavailable(*_arguments: object) -> None:
    pytest.fail("a kernel that is off was called")


def test_all_are_on_unless_the_variable_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert all(enabled(kernel) for kernel in KERNELS)
    monkeypatch.setenv(VARIABLE, "lookup, word_scan")
    assert [kernel for kernel in KERNELS if not enabled(kernel)] == ["lookup", "word_scan"]
    monkeypatch.setenv(VARIABLE, "all")
    assert not any(enabled(kernel) for kernel in KERNELS)


def test_a_name_that_no_kernel_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "lookup,bags")
    with pytest.raises(ConvoyError, match=r"CONVOY_KERNELS_OFF: expected all or .*lookup.*; found bags"):
        enabled("lookup")


@pytest.mark.parametrize("kernel_sizes", [(3, 4, 5), (1,), (2,), (6, 1), (7, 3)])
def test_textcnn_s_look_up_and_its_twin(
    kernel_sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = textcnn_tensors(kernel_sizes)
    arrays = flat([*random_texts(40), [], [5], [1, 1]])
    fast = lookup.textcnn(tensors, kernel_sizes)
    expected = fast(*arrays)
    monkeypatch.setenv(VARIABLE, "lookup")
    monkeypatch.setattr(lookup, "_maxima", unavailable)
    # The same tables give the same bytes, tables made without the kernel differ in rounding.
    np.testing.assert_array_equal(fast(*arrays), expected)
    monkeypatch.setattr(lookup, "_project", unavailable)
    plain = lookup.textcnn(tensors, kernel_sizes)
    np.testing.assert_allclose(plain(*arrays), expected, rtol=1e-5, atol=1e-6)
    assert plain(*flat([])).shape == (0, fast.dimension)
    assert not plain(*flat([[], []])).any()


def test_the_bag_of_words_look_up_and_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lookup.bow(textcnn_tensors())
    arrays = flat([*random_texts(40), []])
    expected = model(*arrays)
    monkeypatch.setenv(VARIABLE, "lookup")
    monkeypatch.setattr(lookup, "_means", unavailable)
    np.testing.assert_allclose(model(*arrays), expected, rtol=1e-6)


def test_the_token_convolution_and_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    texts_NL = torch.randint(1, 30, (20, 15), generator=torch.Generator().manual_seed(0))
    texts_NL *= torch.arange(15) < torch.randint(0, 16, (20, 1), generator=torch.Generator().manual_seed(1))
    results = []
    for off in ("", "token_convolution"):
        monkeypatch.setenv(VARIABLE, off)
        torch.manual_seed(0)
        network = TextCNN(30, 8, 5, (2, 3), num_classes=4, dropout=0.0)
        if off:
            monkeypatch.setattr(token_convolution.WindowMaxima, "apply", unavailable)
        network(texts_NL).square().sum().backward()
        gradients = {f"gradient of {name}": weight.grad for name, weight in network.named_parameters()}
        outputs = network.eval()(texts_NL)
        results.append({"outputs": outputs, **network.state_dict(), **gradients})
    for name, value in results[0].items():
        if value is not None:  # a bias before a batch norm
            torch.testing.assert_close(value, results[1][name], rtol=1e-4, atol=1e-5, msg=name)


def test_the_word_scan_and_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = tokens.fit(TEXTS, "word", 100, 1)
    expected = tokens.encode(fitted, TEXTS, 5)
    monkeypatch.setenv(VARIABLE, "word_scan")
    for name in ("rows", "count"):
        monkeypatch.setattr(word_scan, name, unavailable)
    assert tokens.fit(TEXTS, "word", 100, 1) == fitted
    for one, other in zip(tokens.encode(fitted, TEXTS, 5), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_page_on_kernels_has_a_section_for_each() -> None:
    page = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## `(\w+)`", page, re.MULTILINE)) == set(KERNELS)
    assert VARIABLE in page
    # Twins named on the page exist.
    assert callable(TextCNN._convolved)
    assert callable(tokens._ask_library)
    assert callable(lookup_plain.maxima)
