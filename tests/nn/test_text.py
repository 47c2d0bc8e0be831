"""The text networks against the textbook's own layers, closed forms and their own padding."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convoy.nn.text import BagOfWordsModel, TextCNN


class Textbook(nn.Module):
    """TextCNN as the chapter prints it: padded positions take part like any other."""

    def __init__(self, vocab: int, dim: int, filters: int, kernels: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim, padding_idx=0)
        layers = []
        for k in kernels:
            layers += [nn.Conv1d(dim, filters, k, padding=k // 2), nn.BatchNorm1d(filters)]
        self.layers = nn.ModuleList(layers)
        self.classifier = nn.Linear(filters * len(kernels), classes)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens).transpose(1, 2)
        pairs = zip(self.layers[::2], self.layers[1::2], strict=True)
        return self.classifier(torch.cat([F.relu(norm(conv(x))).amax(2) for conv, norm in pairs], 1))


def texts(lengths: list[int], width: int, vocab: int = 50, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, vocab, (len(lengths), width), generator=generator)
    return tokens * (torch.arange(width) < torch.tensor(lengths)[:, None])


def small(**changes: object) -> TextCNN:
    torch.manual_seed(1)
    network = TextCNN(
        **{
            "vocab_size": 50,
            "embedding_dim": 6,
            "num_filters": 5,
            "num_classes": 4,
            "dropout": 0.0,
            **changes,
        }
    )
    for name, values in network.named_parameters():
        if "norm" in name:
            nn.init.normal_(values)  # negative scales too
    return network


@pytest.mark.parametrize("path", ["_convolved", "_looked_up"])
@pytest.mark.parametrize("training", [True, False])
def test_full_length_input_equals_the_textbook_network_weight_for_weight(path: str, training: bool) -> None:
    ours = small(kernel_sizes=(3, 4, 5))
    book = Textbook(50, 6, 5, (3, 4, 5), 4)
    book.load_state_dict(dict(zip(book.state_dict(), ours.state_dict().values(), strict=True)))
    tokens = texts([12] * 8, 12)
    ours.train(training)
    book.train(training)
    torch.testing.assert_close(
        ours.classifier(getattr(ours, path)(tokens)), book(tokens), rtol=1e-5, atol=1e-5
    )
    for mine, theirs in zip(ours.state_dict().values(), book.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernels", [(3, 4, 5), (1, 2), (7,)])
def test_the_table_look_up_has_the_convolutions_values_and_gradients(kernels: tuple[int, ...]) -> None:
    tokens = texts([0, 1, 2, 3, 5, 9, 14, 14], 14)
    weight = torch.randn(8, 5 * len(kernels), generator=torch.Generator().manual_seed(3))
    results = []
    for path in ("_convolved", "_looked_up"):
        network = small(kernel_sizes=kernels)
        pooled = getattr(network, path)(tokens)
        (pooled * weight).sum().backward()
        gradients = {
            name: values.grad
            for name, values in network.named_parameters()
            # Batch norm takes the convolution's bias away again, so its true gradient is zero.
            if "classifier" not in name and "convolution.bias" not in name
        }
        results.append((pooled, gradients, dict(network.named_buffers())))
    torch.testing.assert_close(results[0], results[1], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("training", [True, False])
def test_padding_does_not_change_an_embedding(training: bool) -> None:
    lengths = [0, 1, 2, 6, 11]
    tight, wide = texts(lengths, 11), F.pad(texts(lengths, 11), (0, 30))
    for network in (small().train(training), BagOfWordsModel(50, 6, 4).train(training)):
        torch.testing.assert_close(network.get_embedding(tight), network.get_embedding(wide))
    network = small().train(training)
    torch.testing.assert_close(network._convolved(tight), network._convolved(wide))


def test_an_empty_text_is_zero_and_a_text_shorter_than_the_kernel_is_not() -> None:
    tokens = texts([0, 1], 4)
    for network in (small().eval(), BagOfWordsModel(50, 6, 4).eval()):
        embedding = network.get_embedding(tokens)
        assert torch.equal(embedding[0], torch.zeros_like(embedding[0]))
        assert embedding[1].abs().sum() > 0


def test_sizes_and_parameter_counts() -> None:
    network = TextCNN(num_classes=0)
    assert sum(values.numel() for values in network.parameters()) == 3_994_500
    tokens = texts([7, 3], 9)
    assert network.get_embedding(tokens).shape == (2, 300)
    assert torch.equal(network.eval()(tokens), network.get_embedding(tokens))
    assert TextCNN(num_classes=10)(tokens).shape == (2, 10)
    assert BagOfWordsModel()(tokens).shape == (2, 20)


def test_state_dict_order_is_embedding_then_per_kernel_convolution_and_norm_then_classifier() -> None:
    names = [name.rsplit(".", 1) for name in small(kernel_sizes=(3, 4)).state_dict()]
    of_one = ["weight", "bias", "weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert [name[1] for name in names] == ["weight", *of_one, *of_one, "weight", "bias"]
    assert names[0][0] == "embedding"
    assert names[-1][0] == "classifier"


def test_bag_of_words_embeds_as_the_mean_and_ignores_order() -> None:
    network = BagOfWordsModel(50, 6, 4).eval()
    tokens = texts([5], 8)
    expected = network.embedding.weight[tokens[0, :5]].mean(0)
    torch.testing.assert_close(network.get_embedding(tokens)[0], expected)
    shuffled = tokens[:, [3, 1, 4, 0, 2, 5, 6, 7]]
    torch.testing.assert_close(network(tokens), network(shuffled))


def test_running_statistics_are_those_of_torch() -> None:
    """Against nn.BatchNorm1d over the unpadded windows only."""
    network = small(kernel_sizes=(3,)).train()
    tokens = texts([4, 9, 2], 9)
    network.get_embedding(tokens)
    convolution = network.branches[0].convolution
    windows = [
        convolution(network.embedding(row[: (row != 0).sum()][None]).transpose(1, 2))[0].T for row in tokens
    ]
    norm = nn.BatchNorm1d(5)
    norm(torch.cat(windows))
    torch.testing.assert_close(network.branches[0].norm.running_mean, norm.running_mean)
    torch.testing.assert_close(network.branches[0].norm.running_var, norm.running_var)


def two_channels(**changes: object) -> tuple[TextCNN, Textbook, Textbook]:
    """A network with different channels, and the textbook's with each of them alone."""
    ours = small(kernel_sizes=(3, 4, 5), mode="multichannel", **changes)
    assert ours.fixed is not None
    nn.init.normal_(ours.fixed.weight[1:].detach())
    state = ours.state_dict()
    fixed = state.pop("fixed.weight")

    def alone(table: torch.Tensor) -> Textbook:
        book = Textbook(50, 6, 5, (3, 4, 5), 4)
        values = {**state, "embedding.weight": table}.values()
        book.load_state_dict(dict(zip(book.state_dict(), values, strict=True)))
        return book

    return ours, alone(state["embedding.weight"]), alone(fixed)


@pytest.mark.parametrize("path", ["_convolved", "_looked_up"])
def test_filters_are_applied_to_both_channels_and_the_results_added(path: str) -> None:
    """Kim (2014), section 2.1: convolve each channel, add, then norm, relu and maximum; one bias."""
    ours, trained, fixed = two_channels()
    ours.eval(), trained.eval()
    tokens = texts([12] * 8, 12)
    pooled = []
    for number in range(3):
        convolution, norm = trained.layers[2 * number], trained.layers[2 * number + 1]
        channels = [book.embedding(tokens).transpose(1, 2) for book in (trained, fixed)]
        added = convolution(channels[0]) + F.conv1d(
            channels[1], convolution.weight, padding=(3, 4, 5)[number] // 2
        )
        pooled.append(F.relu(norm(added)).amax(2))
    torch.testing.assert_close(getattr(ours, path)(tokens), torch.cat(pooled, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("path", ["_convolved", "_looked_up"])
@pytest.mark.parametrize(
    ("mode", "trained"),
    [("random", True), ("non_static", True), ("static", False), ("multichannel", True)],
)
def test_only_the_channel_that_is_not_fixed_has_a_gradient(path: str, mode: str, trained: bool) -> None:
    network = small(kernel_sizes=(3, 4), mode=mode)
    assert (network.fixed is not None) == (mode == "multichannel")
    getattr(network, path)(texts([7, 3, 12], 12)).sum().backward()
    gradient = network.embedding.weight.grad
    assert (gradient is not None and bool(gradient.any())) == trained
    if network.fixed is not None:
        assert network.fixed.weight.grad is None
        assert not network.fixed.weight.requires_grad
    assert all(
        weight.grad is not None
        for branch in network.branches
        for weight in branch.parameters()
        if weight.ndim > 1
    )


def test_vectors_are_set_in_all_channels_and_padding_stays_zero() -> None:
    network = small(mode="multichannel")
    vectors = torch.randn(50, 6)
    network.set_vectors(vectors)
    assert network.fixed is not None
    for channel in (network.embedding, network.fixed):
        assert torch.equal(channel.weight[1:], vectors[1:])
        assert not channel.weight[0].any()
