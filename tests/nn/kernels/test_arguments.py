"""Every compiled kernel's wrapper refuses arguments by which it would read or write memory elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from convoy.nn.kernels import lookup, word_scan
from convoy.nn.kernels.token_convolution import window_maxima
from tests.support.tiny import KERNELS, flat, textcnn_tensors

ROOT = Path(__file__).parents[3]
EMBEDDING = torch.zeros(9, 4)
WEIGHTS = [torch.zeros(3, 4, kernel) for kernel in (2, 5)]
TOKENS, OFFSETS = flat([[1, 2, 3], [4]])


@pytest.mark.parametrize("tokens", [
    torch.tensor([[1, 9]]), torch.tensor([[-1, 2]]), torch.tensor([[1, 2]], dtype=torch.int32),
    torch.tensor([1, 2]), torch.tensor([[2**40]]), torch.tensor([[1.0]]),
])  # fmt: skip
def test_tokens_that_are_no_rows_of_the_embedding(tokens):
    with pytest.raises(ValueError, match="token"):
        window_maxima(tokens, EMBEDDING, WEIGHTS, torch.ones(6), torch.zeros(6), 1e-5)


@pytest.mark.parametrize(("weights", "gamma", "beta", "statistics"), [
    ([], 6, 6, None), ([torch.zeros(3, 5, 2)] * 2, 6, 6, None), (WEIGHTS[:1], 6, 6, None),
    ([torch.zeros(3, 4, 2), torch.zeros(2, 4, 2)], 5, 5, None), (WEIGHTS, 5, 6, None), (WEIGHTS, 6, 7, None),
    (WEIGHTS, 6, 6, torch.zeros(2, 5)),
])  # fmt: skip
def test_sizes_of_a_convolution_that_do_not_fit(weights, gamma, beta, statistics):
    with pytest.raises(ValueError, match=r"expected|weights of"):
        window_maxima(
            torch.ones(1, 2, dtype=torch.int64), EMBEDDING, weights, torch.ones(gamma), torch.zeros(beta),
            1e-5, statistics,
        )  # fmt: skip


@pytest.mark.parametrize(("tokens", "offsets"), [
    (TOKENS.astype(np.int64), OFFSETS), (TOKENS, OFFSETS.astype(np.int32)), (TOKENS[::2], OFFSETS[:2]),
    (TOKENS, OFFSETS[:0]), (TOKENS, OFFSETS[::-1].copy()), (TOKENS, OFFSETS - 1), (TOKENS, OFFSETS + 1),
    (TOKENS - 5, OFFSETS), (TOKENS + 50, OFFSETS), (TOKENS[None], OFFSETS),
    (TOKENS.astype(np.float32), OFFSETS),
])  # fmt: skip
def test_texts_that_cannot_be_looked_up(tokens, offsets):
    for model in (lookup.textcnn(textcnn_tensors(), KERNELS), lookup.bow(textcnn_tensors())):
        with pytest.raises(ValueError, match=r"token|offsets"):
            model(tokens, offsets)


@pytest.mark.parametrize("sizes", [(), (-200, 4, 5), (0, 4, 5), (5, 4, 3), (5000, 4, 5)])
def test_kernel_sizes_that_the_weights_do_not_have(sizes):
    with pytest.raises(ValueError, match=r"kernel sizes|expected"):
        lookup.textcnn(textcnn_tensors(), sizes)


@pytest.mark.parametrize(("data", "starts"), [
    (np.zeros(4, np.int64), [0, 4]), (np.zeros(4, np.uint8), [0, 5]), (np.zeros(4, np.uint8), [-1, 4]),
    (np.zeros(4, np.uint8), [3, 2]), (np.zeros(4, np.uint8), []), (np.zeros((2, 2), np.uint8), [0, 1]),
    (np.zeros(4, np.uint8), [0.0, 1.0]),
])  # fmt: skip
def test_texts_that_cannot_be_scanned(data, starts):
    starts = np.array(starts, np.float64 if starts and isinstance(starts[0], float) else np.int64)
    classes = np.full(word_scan.LIMIT + 1, word_scan.BLANK, np.uint8)
    lower = np.zeros(word_scan.LIMIT, np.uint16)
    table = word_scan.prepare({"a": 0}, 0, classes, lower)
    with pytest.raises(ValueError, match=r"start|data"):
        word_scan.rows(table, data, starts, 5, np.zeros(max(len(starts) - 1, 0), np.int64))
    with pytest.raises(ValueError, match=r"start|data"):
        word_scan.count(data, starts, classes, lower)


BOUNDS = """
import numpy as np, torch
from convoy.nn.kernels import lookup
from convoy.nn.text import TextCNN
from convoy.streamrec.classification.corpus.tokens import encode, fit
from tests.support.tiny import flat, random_texts, textcnn_tensors
texts = ["", "a", "a tale of two cit\u00e9s", "one road", "\u6620\u753b x", "caf\u00e9 \u2019s " * 9]
for kind in ("word", "bpe"):
    encode(fit(texts * 3, kind, 300, 1), texts, 4)
for sizes in ((3, 4, 5), (1, 2), (7,)):
    tensors = textcnn_tensors(sizes)
    for model in (lookup.textcnn(tensors, sizes), lookup.bow(tensors)):
        model(*flat([*random_texts(30), [], [1], [49] * 60]))
    lengths = torch.tensor([0, 1, 9, 2, 3, 9, 4, 5])
    tokens = torch.randint(1, 40, (8, 9)) * (torch.arange(9) < lengths[:, None])
    network = TextCNN(40, 6, 5, sizes, 4)
    network(tokens).sum().backward()
    network.eval()(tokens)
print("within bounds")
"""


def test_kernels_stay_within_their_arrays(tmp_path):
    environment = os.environ | {
        "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "2",
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", BOUNDS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "within bounds\n", done.stderr[-2000:]
