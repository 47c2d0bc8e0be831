"""The mean of rows and its gradient against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F

from convoy.nn.kernels.bags import mean_of_rows
from convoy.nn.text import BagOfWordsModel

# A word twice in a text, in several texts, an empty text, one without padding.
TOKENS = torch.tensor([[3, 5, 3, 0], [0, 0, 0, 0], [1, 2, 5, 7], [9, 0, 0, 0]])


def values(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + shape[0]))


@pytest.mark.parametrize("sparse", [True, False])
def test_values_and_gradient_are_those_of_torch(sparse: bool) -> None:
    ours, theirs = (values(11, 6).requires_grad_() for _ in range(2))
    mean = mean_of_rows(TOKENS, ours, sparse)
    expected = F.embedding_bag(TOKENS, theirs, mode="mean", padding_idx=0)
    torch.testing.assert_close(mean, expected)
    for result in (mean, expected):
        result.backward(values(4, 6))
    assert ours.grad is not None
    assert ours.grad.is_sparse == sparse
    torch.testing.assert_close(ours.grad.to_dense(), theirs.grad)
    if sparse:
        assert ours.grad._indices()[0].tolist() == [1, 2, 3, 5, 7, 9]


def test_a_batch_of_empty_texts_moves_nothing() -> None:
    for sparse in (True, False):
        table = values(11, 6).requires_grad_()
        mean = mean_of_rows(torch.zeros(3, 5, dtype=torch.int64), table, sparse)
        assert torch.equal(mean, torch.zeros(3, 6))
        mean.sum().backward()
        assert table.grad is not None
        assert not table.grad.to_dense().any()


def test_without_gradients_and_from_a_view() -> None:
    model = BagOfWordsModel(11, 6, 2).eval()
    with torch.inference_mode():
        found = model.get_embedding(TOKENS.T.contiguous().T)
    expected = F.embedding_bag(TOKENS, model.embedding.weight, mode="mean", padding_idx=0)
    torch.testing.assert_close(found, expected.detach())
