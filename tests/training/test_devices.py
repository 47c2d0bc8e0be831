"""Where a model is fitted, as its params say it, known before anything is loaded for it."""

import subprocess
import sys

import pytest
import torch

from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.training.params import TrainingParams, device_of

HERE = "cuda" if torch.cuda.is_available() else "cpu"


class OfNetwork(Section):
    training: TrainingParams = TrainingParams()


@pytest.mark.parametrize(("asked", "expected"), [("auto", HERE), ("cpu", "cpu")])
def test_a_network_is_fitted_where_its_training_says(asked: str, expected: str) -> None:
    assert device_of(OfNetwork(training=TrainingParams(device=asked))) == expected


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConvoyError, match="device 'cuda' was asked for and no GPU was found"):
        device_of(OfNetwork(training=TrainingParams(device="cuda")))


def test_what_is_no_network_is_fitted_on_a_cpu_and_does_not_wait_for_torch() -> None:
    code = (
        "import sys\n"
        "from convoy.training.params import device_of\n"
        "from convoy.core.params import Section\n"
        "sys.exit(device_of(Section()) != 'cpu' or 'torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
