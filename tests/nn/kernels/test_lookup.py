"""Look-up embeddings against plain torch functions, written here anew."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from convoy.core.errors import ConvoyError
from convoy.nn.kernels import lookup
from convoy.nn.text import BagOfWordsModel, TextCNN
from tests.conftest import ROOT
from tests.support.tiny import KERNELS, flat, random_texts, textcnn_tensors

VOCAB, DIM, FILTERS = 50, 16, 12


def by_torch(tensors, kernel_sizes, texts):
    """Text by text in float64: convolve the unpadded text, normalise, rectify, maximise."""
    t = {name: torch.from_numpy(value).double() for name, value in tensors.items()}
    rows = []
    for text in texts:
        if len(text) == 0:
            rows.append(torch.zeros(FILTERS * len(kernel_sizes), dtype=torch.float64))
            continue
        embedded = F.embedding(torch.tensor([text]), t["embedding.weight"]).transpose(1, 2)
        pooled = []
        for i, k in enumerate(kernel_sizes):
            prefix = f"branches.{i}."
            out = F.conv1d(
                embedded, t[prefix + "convolution.weight"], t[prefix + "convolution.bias"], padding=k // 2
            )
            out = F.batch_norm(
                out, t[prefix + "norm.running_mean"], t[prefix + "norm.running_var"],
                t[prefix + "norm.weight"], t[prefix + "norm.bias"], training=False, eps=1e-5,
            )  # fmt: skip
            pooled.append(F.relu(out).amax(2)[0])
        rows.append(torch.cat(pooled))
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("kernel_sizes", [(3, 4, 5), (1,), (2,), (6, 1), (7, 3)])
def test_textcnn_equals_torch(kernel_sizes):
    tensors = textcnn_tensors(kernel_sizes)
    texts = [*random_texts(40), [], [5], [1, 1], [7, 8, 9]]
    vectors = lookup.textcnn(tensors, kernel_sizes)(*flat(texts))
    expected = by_torch(tensors, kernel_sizes, texts)
    assert vectors.dtype == np.float32
    assert np.abs(vectors - expected).max() <= 2e-6 * np.abs(expected).max()
    assert not vectors[40].any()
    assert (expected > 0).mean() > 0.5  # something to compare


def test_textcnn_equals_the_network_that_was_trained():
    torch.manual_seed(0)
    network = TextCNN(VOCAB, DIM, FILTERS, KERNELS, num_classes=0)
    network.train()
    for _ in range(5):  # running statistics
        network(torch.randint(1, VOCAB, (32, 30)))
    network.eval()
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    texts = random_texts(64)
    vectors = lookup.textcnn(tensors, KERNELS)(*flat(texts))
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(text, dtype=torch.long) for text in texts], True)
    with torch.no_grad():
        expected = network.get_embedding(padded).numpy()
    assert np.abs(vectors - expected).max() <= 2e-6 * np.abs(expected).max()


def test_bow_equals_torch_and_the_network():
    torch.manual_seed(0)
    network = BagOfWordsModel(VOCAB, DIM)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    texts = [*random_texts(64), []]
    vectors = lookup.bow(tensors)(*flat(texts))
    expected = np.stack(
        [tensors["embedding.weight"][text].astype(float).sum(0) / max(len(text), 1) for text in texts]
    )
    np.testing.assert_allclose(vectors, expected, rtol=2e-6, atol=1e-7)
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(text, dtype=torch.long) for text in texts], True)
    with torch.no_grad():
        np.testing.assert_allclose(vectors, network.get_embedding(padded).numpy(), rtol=1e-5, atol=1e-6)


MODELS = (lookup.textcnn(textcnn_tensors(), KERNELS), lookup.bow(textcnn_tensors()))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_vector_does_not_depend_on_its_neighbours(data):
    texts = data.draw(st.lists(st.lists(st.integers(1, VOCAB - 1), max_size=12), min_size=1, max_size=20))
    order = data.draw(st.permutations(range(len(texts))))
    cut = data.draw(st.integers(0, len(texts)))
    for model in MODELS:
        together = model(*flat(texts))
        parts = [model(*flat([texts[i] for i in part])) for part in (order[:cut], order[cut:])]
        assert np.array_equal(np.concatenate(parts), together[order])


def test_offsets_may_begin_inside_the_tokens():
    model = lookup.textcnn(textcnn_tensors(), KERNELS)
    tokens, offsets = flat(random_texts(20))
    assert np.array_equal(model(tokens, offsets[7:15]), model(tokens, offsets)[7:14])


PROGRAM = """
import hashlib, sys
import numpy as np
from convoy.nn.kernels import lookup
rng = np.random.default_rng(0)
tensors = {"embedding.weight": rng.standard_normal((3000, 128), np.float32)}
for i, k in enumerate((3, 4, 5)):
    tensors[f"branches.{i}.convolution.weight"] = rng.standard_normal((12, 128, k), np.float32)
    for name in ("convolution.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
        tensors[f"branches.{i}.{name}"] = rng.uniform(0.5, 2, 12).astype(np.float32)
offsets = np.cumsum([0, *rng.integers(0, 60, 2000)])
tokens = rng.integers(1, 3000, offsets[-1]).astype(np.int32)
model = lookup.textcnn(tensors, (3, 4, 5))
arrays = model(tokens, offsets), *model.tables, lookup.bow(tensors)(tokens, offsets)
assert "torch" not in sys.modules
print(lookup._THREADS, hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


def test_same_bytes_from_one_thread_and_three_without_torch():
    found = set()
    for threads in ("1", "3"):
        environment = os.environ | {"NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        environment["PYTHONPATH"] = str(ROOT / "src")
        out = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        used, digest = out.stdout.split()
        assert used == threads
        found.add(digest)
    assert len(found) == 1


def test_other_numbers_of_filters_beside_each_other():
    for filters in (5, 12):
        tensors = textcnn_tensors(filters=filters)
        vectors = lookup.textcnn(tensors, KERNELS)(*flat(random_texts(10)))
        assert vectors.shape == (10, 3 * filters)


def test_refuses_what_cannot_be_looked_up():
    model = lookup.textcnn(textcnn_tensors(), KERNELS)
    with pytest.raises(ValueError, match=f"token ids from 1 to {VOCAB}; expected 0 to {VOCAB - 1}"):
        model(*flat([[1, VOCAB]]))
    with pytest.raises(ValueError, match="offsets"):
        model(np.array([1, 2], np.int32), np.array([0, 3]))
    with pytest.raises(ConvoyError, match=r"no tensor 'branches.3.convolution.weight'"):
        lookup.textcnn(textcnn_tensors(), (3, 4, 5, 6))
    broken = textcnn_tensors()
    broken["branches.1.norm.running_var"][2] = np.nan
    with pytest.raises(ConvoyError, match=r"'branches.1.norm.running_var' has values that are not finite"):
        lookup.textcnn(broken, KERNELS)
