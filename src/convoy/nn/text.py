"""Networks for texts: TextCNN (Kim, 2014) and the bag-of-words model that it is compared with.

Tokens are int64 (N, L), padded at the end with 0; 1 is the unknown word. No output depends on the length to
which a batch is padded.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convoy.nn.kernels.switch import enabled
from convoy.nn.kernels.token_convolution import window_maxima

PADDING, UNKNOWN = 0, 1
Mode = Literal["random", "static", "non_static", "multichannel"]


class TextCNN(nn.Module):
    """Convolutions of several widths over embedded tokens, each maximised over positions.

    (N, L) int64 -> (N, num_classes) logits, or (N, num_filters * len(kernel_sizes)) where `num_classes`
    is 0. Per kernel size: Conv1d(padding=k // 2), batch norm, relu, maximum over positions. Of a text of n
    tokens only the first n + 2 * (k // 2) - k + 1 positions enter the maximum and the batch statistics; an
    empty text gives zeros. `embedding_std`: standard deviation of the initial embeddings (PyTorch's default
    is 1). `mode`: embeddings are trained (random, non_static), fixed (static), or a trained and a fixed
    channel (multichannel), to both of which each filter is applied before the results are added.
    Source: Kim (2014), Convolutional Neural Networks for Sentence Classification.
    """

    def __init__(
        self, vocab_size: int = 30000, embedding_dim: int = 128, num_filters: int = 100,
        kernel_sizes: Sequence[int] = (3, 4, 5), num_classes: int = 10, dropout: float = 0.5,
        embedding_std: float = 1.0, mode: Mode = "random",
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = _embedding(vocab_size, embedding_dim, embedding_std)
        self.fixed: nn.Embedding | None = None
        if mode == "multichannel":
            self.fixed = nn.Embedding.from_pretrained(
                self.embedding.weight.detach().clone(), padding_idx=PADDING
            )
        self.embedding.weight.requires_grad_(mode != "static")
        self.kernel_sizes = tuple(kernel_sizes)
        self.branches = nn.ModuleList(_Branch(embedding_dim, num_filters, k) for k in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        features = num_filters * len(kernel_sizes)
        self.classifier = nn.Linear(features, num_classes) if num_classes else nn.Identity()

    @torch.no_grad()
    def set_vectors(self, vectors_VE: Tensor) -> None:
        """Replace the embeddings of all channels; those of the padding stay zeros."""
        for channel in filter(None, (self.embedding, self.fixed)):
            channel.weight.copy_(vectors_VE)
            channel.weight[PADDING] = 0

    def forward(self, tokens_NL: Tensor) -> Tensor:
        return self.classifier(self.dropout(self._pooled(tokens_NL)))

    def get_embedding(self, tokens_NL: Tensor) -> Tensor:
        """(N, L) -> (N, num_filters * len(kernel_sizes)): the rectified maxima, before dropout."""
        return self._pooled(tokens_NL)

    def _pooled(self, tokens_NL: Tensor) -> Tensor:
        if tokens_NL.is_cpu and enabled("token_convolution"):
            return self._looked_up(tokens_NL)
        if tokens_NL.is_cuda and _in_bfloat16("cuda") and enabled("token_convolution_cuda"):
            return self._looked_up(tokens_NL)
        return self._convolved(tokens_NL)

    def _convolved(self, tokens_NL: Tensor) -> Tensor:
        """The rectified maxima by definition: one convolution per kernel size."""
        length_N = (tokens_NL != PADDING).sum(1)
        embedded_NEL = F.embedding(tokens_NL, self._table(), PADDING).transpose(1, 2)
        pooled = []
        for k, convolution, norm in self._parts():
            convolved_NFJ = convolution(embedded_NEL)
            position_J = torch.arange(convolved_NFJ.shape[2], device=tokens_NL.device)
            inside_N1J = position_J < _windows(length_N, k)[:, None, None]
            normal_NFJ = _masked_batch_norm(convolved_NFJ, inside_N1J, norm)
            # relu(max) = max(relu): windows outside are set to 0, which also serves the empty text.
            pooled.append(F.relu(normal_NFJ).masked_fill(~inside_N1J, 0).amax(2))
        return torch.cat(pooled, 1)

    def _looked_up(self, tokens_NL: Tensor) -> Tensor:
        """The same as `_convolved`, several times faster: see `nn.kernels.token_convolution`."""
        _, convolutions, norms = zip(*self._parts(), strict=True)
        bias_D = torch.cat([convolution.bias for convolution in convolutions]).detach()
        statistics = None
        if not self.training:
            running_mean = torch.cat([norm.running_mean for norm in norms]) - bias_D
            statistics = torch.stack([running_mean, torch.cat([norm.running_var for norm in norms])])
        pooled_ND, mean_D, variance_D, count_D = window_maxima(
            tokens_NL,
            self._table(),
            [convolution.weight for convolution in convolutions],
            torch.cat([norm.weight for norm in norms]),
            torch.cat([norm.bias for norm in norms]),
            norms[0].eps,
            statistics,
        )
        if self.training:
            _track(norms, mean_D + bias_D, variance_D, count_D)
        return pooled_ND

    def _table(self) -> Tensor:
        """The embeddings (V, E): with two channels their sum, since a convolution is linear in them."""
        return self.embedding.weight if self.fixed is None else self.embedding.weight + self.fixed.weight

    def _parts(self) -> list[tuple[int, nn.Conv1d, nn.BatchNorm1d]]:
        branches = cast(Iterable[_Branch], self.branches)
        return [
            (k, branch.convolution, branch.norm)
            for k, branch in zip(self.kernel_sizes, branches, strict=True)
        ]


class BagOfWordsModel(nn.Module):
    """The mean of a text's token embeddings, then one hidden layer; word order has no effect.

    (N, L) int64 -> (N, num_classes) logits. Padding does not enter the mean; an empty text gives zeros.
    """

    def __init__(
        self, vocab_size: int = 10000, embedding_dim: int = 128, num_classes: int = 20, dropout: float = 0.3,
        embedding_std: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = _embedding(vocab_size, embedding_dim, embedding_std)
        self.hidden = nn.Linear(embedding_dim, 128)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(128, num_classes)

    def forward(self, tokens_NL: Tensor) -> Tensor:
        return self.classifier(self.dropout(F.relu(self.hidden(self.get_embedding(tokens_NL)))))

    def get_embedding(self, tokens_NL: Tensor) -> Tensor:
        """(N, L) -> (N, embedding_dim): the masked mean."""
        return F.embedding_bag(tokens_NL, self.embedding.weight, mode="mean", padding_idx=PADDING)


class _Branch(nn.Module):
    """Convolution and norm of one kernel size, which a state_dict then has under one prefix."""

    def __init__(self, embedding_dim: int, num_filters: int, kernel_size: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(embedding_dim, num_filters, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm1d(num_filters)


def _windows(length_N: Tensor, kernel_size: int) -> Tensor:
    """Number of windows of a text of n tokens, padded by k // 2: n, or n + 1 for even k; 0 if it is empty."""
    return (length_N + 2 * (kernel_size // 2) - kernel_size + 1) * (length_N > 0)


def _embedding(vocab_size: int, embedding_dim: int, std: float) -> nn.Embedding:
    embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=PADDING)
    with torch.no_grad():
        embedding.weight.mul_(std)
    return embedding


def _masked_batch_norm(values_NFJ: Tensor, inside_N1J: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Batch norm with statistics of the windows inside texts only; float32 whatever the autocast type."""
    values_NFJ = values_NFJ.float()
    mean_F, variance_F = norm.running_mean, norm.running_var
    if norm.training:
        count = inside_N1J.sum()
        weight_N1J = inside_N1J / count.clamp_min(1)
        mean_F = (values_NFJ * weight_N1J).sum((0, 2))
        variance_F = ((values_NFJ - mean_F[:, None]) ** 2 * weight_N1J).sum((0, 2))
        _track((norm,), mean_F.detach(), variance_F.detach(), count)
    assert mean_F is not None
    assert variance_F is not None
    scale_F = norm.weight * torch.rsqrt(variance_F + norm.eps)
    return values_NFJ * scale_F[:, None] + (norm.bias - mean_F * scale_F)[:, None]


@torch.no_grad()
def _track(norms: Sequence[nn.BatchNorm1d], mean_D: Tensor, variance_D: Tensor, count: Tensor) -> None:
    """Update running statistics as nn.BatchNorm1d does: momentum 0.1, variance with count - 1.

    mean_D, variance_D: of all norms, concatenated; count: number of values, a scalar or (D,).
    """
    variance_D = variance_D * (count / (count - 1).clamp_min(1))
    running = [*(norm.running_mean for norm in norms), *(norm.running_var for norm in norms)]
    today = [*mean_D.chunk(len(norms)), *variance_D.chunk(len(norms))]
    torch._foreach_lerp_(cast(list[Tensor], running), today, cast(float, norms[0].momentum))
    torch._foreach_add_(cast(list[Tensor], [norm.num_batches_tracked for norm in norms]), 1)


def _in_bfloat16(device: str) -> bool:
    return torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
