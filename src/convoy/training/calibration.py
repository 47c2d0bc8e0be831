"""Temperature scaling: one number that calibrates a classifier's probabilities."""

import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor


def temperature(logits_NC: Tensor, labels_N: Tensor) -> float:
    """The T in [0.05, 20] that minimises the cross-entropy of logits / T (Guo et al., 2017)."""
    logits_NC = logits_NC.double()

    def loss(log_t: float) -> float:
        return float(F.cross_entropy(logits_NC * 2.0**-log_t, labels_N))

    found = minimize_scalar(loss, bounds=(-4.32, 4.32), method="bounded", options={"xatol": 1e-4})
    return float(2.0**found.x)
