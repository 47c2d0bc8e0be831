"""The objective of downscaling networks: squared error or CRPS."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class FieldError:
    """Area-weighted squared error, or CRPS of a Gaussian where `spread`, over the cells that have a truth.

    Outputs are (N, 1 or 2, H, W): mean and standard deviation; targets (N, H, W) with NaN where the truth is
    missing. areas: (H, W). The figure is the area-weighted RMSE of the mean.
    """

    figure = "rmse"

    def __init__(self, areas: npt.NDArray[Any], spread: bool) -> None:
        self._areas = torch.from_numpy(areas.astype(np.float32))
        self._on_device: dict[torch.device, Tensor] = {}
        self._spread = spread

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if not self._spread:
            return self._squared(outputs, targets)
        return self._mean(crps_normal(outputs[:, 0], outputs[:, 1], torch.nan_to_num(targets)), targets)

    def validate(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.loss(outputs, targets), self._squared(outputs, targets).sqrt()

    def _squared(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._mean((outputs[:, 0] - torch.nan_to_num(targets)) ** 2, targets)

    def _mean(self, errors: Tensor, targets: Tensor) -> Tensor:
        if errors.device not in self._on_device:
            # Copied to the device once: a recorded CUDA graph cannot read from the host.
            self._on_device[errors.device] = self._areas.to(errors.device)
        # Only cells without a truth are left out: a non-finite output must make the loss non-finite.
        weights = self._on_device[errors.device] * ~torch.isnan(targets)
        return (errors * weights).sum() / weights.sum()


def crps_normal(mean: Tensor, deviation: Tensor, truth: Tensor) -> Tensor:
    """Continuous ranked probability score of a Gaussian (Gneiting et al. 2005, eq. 5)."""
    z = (truth - mean) / deviation
    density = torch.exp(-0.5 * z**2) / (2 * torch.pi) ** 0.5
    return deviation * (z * torch.erf(z / 2**0.5) + 2 * density - torch.pi**-0.5)
