"""Networks for series: one value of each variable a day."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TemporalCNN(nn.Module):
    """Convolutions over time, then the mean over time: (N, n_variables, T) -> (N, output_dim).

    Blocks of convolution, batch norm and relu with `n_filters` times 1, 2, 4, 4 ... channels; between blocks
    the maximum of each two days halves time. T: at least 2 ** (n_layers - 1) days.
    """

    def __init__(
        self, n_variables: int = 6, n_filters: int = 64, kernel_size: int = 5, n_layers: int = 4,
        output_dim: int = 128,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [n_filters * min(2**layer, 4) for layer in range(n_layers)]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(before, width, kernel_size, padding=kernel_size // 2), nn.BatchNorm1d(width)
            )
            for before, width in zip([n_variables, *widths], widths, strict=False)
        )
        self.project = nn.Linear(widths[-1], output_dim)

    def forward(self, series_NVT: Tensor) -> Tensor:
        x = series_NVT
        for number, block in enumerate(self.blocks):
            x = F.relu(block(x if number == 0 else F.max_pool1d(x, 2)))
        return self.project(x.mean(2))


class SeriesClassifier(nn.Module):
    """A TemporalCNN with a linear head: (N, n_variables, days) -> (N, num_classes) logits.

    The encoder sees standardised anomalies: `whitening_VV` @ (series - `cycle_VT`), which are part of the
    weights and are set from the training data by `standardise`.
    """

    cycle_VT: Tensor  # noqa: N815
    whitening_VV: Tensor  # noqa: N815

    def __init__(
        self, num_classes: int, n_variables: int = 6, n_filters: int = 64, kernel_size: int = 5,
        n_layers: int = 4, output_dim: int = 128, dropout: float = 0.0, days: int = 365,
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_buffer("cycle_VT", torch.zeros(n_variables, days))
        self.register_buffer("whitening_VV", torch.eye(n_variables))
        self.encoder = TemporalCNN(n_variables, n_filters, kernel_size, n_layers, output_dim)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(output_dim, num_classes)

    def standardise(self, cycle_VT: Tensor, whitening_VV: Tensor) -> None:
        """Set the mean cycle and the matrix that scales the anomalies from it."""
        self.cycle_VT.copy_(cycle_VT)
        self.whitening_VV.copy_(whitening_VV)

    def forward(self, series_NVT: Tensor) -> Tensor:
        return self.classifier(self.dropout(F.relu(self.get_embedding(series_NVT))))

    def get_embedding(self, series_NVT: Tensor) -> Tensor:
        """(N, n_variables, days) -> (N, output_dim): the encoder's output."""
        return self.encoder(self.whitening_VV @ (series_NVT - self.cycle_VT))
