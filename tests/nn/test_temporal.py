"""The network for series: parameters, shapes, and what it computes."""

import pytest
import torch
import torch.nn.functional as F

from convoy.nn.temporal import SeriesClassifier, TemporalCNN


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


def test_the_default_has_569408_parameters_and_128_outputs():
    network = TemporalCNN()
    assert parameters(network) == 569_408
    assert network(torch.zeros(3, 6, 365)).shape == (3, 128)


@pytest.mark.parametrize(("layers", "widths"), [(1, [8]), (2, [8, 16]), (5, [8, 16, 32, 32, 32])])
def test_channels_double_twice_and_time_halves_between_blocks(layers, widths):
    network = TemporalCNN(n_variables=2, n_filters=8, kernel_size=3, n_layers=layers, output_dim=4)
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    network(torch.zeros(2, 2, 365))
    assert shapes == [(width, 365 // 2**number) for number, width in enumerate(widths)]


def test_one_block_is_the_mean_of_rectified_normal_convolutions():
    torch.manual_seed(0)
    network = TemporalCNN(n_variables=2, n_filters=3, kernel_size=3, n_layers=1, output_dim=5).eval()
    convolution, norm = network.blocks[0]
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(4, 2, 30)
    windows = F.pad(x, (1, 1)).unfold(2, 3, 1)
    values = torch.einsum("nvtk,fvk->nft", windows, convolution.weight) + convolution.bias[:, None]
    values = (values - norm.running_mean[:, None]) / (norm.running_var + norm.eps).sqrt()[:, None]
    expected = values.clamp_min(0).mean(2) @ network.project.weight.T + network.project.bias
    torch.testing.assert_close(network(x), expected)


def test_the_order_of_days_counts():
    torch.manual_seed(0)
    network, x = TemporalCNN().eval(), torch.randn(1, 6, 365)
    assert not torch.allclose(network(x), network(x[:, :, torch.randperm(365)]), atol=1e-3)


def test_logits_are_those_of_the_rectified_embedding_of_standardised_anomalies():
    torch.manual_seed(0)
    network, x = SeriesClassifier(num_classes=5, dropout=0.5).eval(), torch.randn(2, 6, 365)
    cycle, whitening = torch.randn(6, 365), torch.randn(6, 6)
    network.standardise(cycle, whitening)
    anomalies = torch.einsum("vw,nwt->nvt", whitening, x - cycle)
    embedding = network.encoder(anomalies)
    torch.testing.assert_close(network.get_embedding(x), embedding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network(x), network.classifier(embedding.relu()), rtol=1e-4, atol=1e-5)
