"""The training benchmark at a tiny size: it runs, and its figures follow from its times."""

import json

import pytest
import torch

from benchmarks import training, workload
from convoy.streamrec.classification.corpus.data import TRAIN


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_training(tmp_path):
    settings = {"quick": {"batch_size": 64}}
    path = training.run("cpu", 300, 1, tmp_path, most_epochs=1, choices=(1,), settings=settings)
    found = json.loads(path.read_text(encoding="utf-8"))
    book, ours = found["rows"]
    seconds, items = found["measured"]["seconds"], found["measured"]["training items"]
    assert book["items/s"] == pytest.approx(items / seconds["textbook, an epoch"][0])
    assert ours["items/s"] == pytest.approx(items / seconds["quick, 1 epochs"][0])
    assert ours["times as fast"] == pytest.approx(ours["items/s"] / book["items/s"])
    reached = ours["validation"] >= book["validation"]
    assert (ours["sooner there"] == "not reached") != reached


def test_operations_are_those_of_the_products():
    """Against torch's own count of one text's forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    from convoy.nn.text import TextCNN

    corpus = workload.corpus(workload.cleaned(workload.raw(300)))
    item = corpus.items(TRAIN)[0]
    tokens = corpus.tokens[corpus.offsets[item] : corpus.offsets[item + 1]]
    network = TextCNN(corpus.vocab_size, num_classes=0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network._convolved(torch.from_numpy(tokens.astype("int64"))[None])
    mean = corpus.lengths[corpus.items(TRAIN)].mean()
    ours = training.work(corpus, 1024)["operations"]
    # Windows per text: n for the odd kernel sizes 3 and 5, n + 1 for 4.
    expected = 3 * counter.get_total_flops() * (12 * mean + 4) / (12 * len(tokens) + 4)
    assert ours == pytest.approx(expected)
