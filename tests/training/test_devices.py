"""Where a model is fitted, as its params say it, known before anything is loaded for it."""

import os
import subprocess
import sys

import pytest
import torch

from benchmarks.machine import AVX2
from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.core.training_params import TrainingParams
from convoy.training.device_choice import device_of

HERE = "cuda" if torch.cuda.is_available() else "cpu"


class OfNetwork(Section):
    training: TrainingParams = TrainingParams()


@pytest.mark.parametrize(("asked", "expected"), [("auto", HERE), ("cpu", "cpu")])
def test_a_network_is_fitted_where_its_training_says(asked: str, expected: str) -> None:
    assert device_of(OfNetwork(training=TrainingParams(device=asked))) == expected


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConvoyError, match="expected a GPU for device 'cuda', found none"):
        device_of(OfNetwork(training=TrainingParams(device="cuda")))


def test_what_is_no_network_is_fitted_on_a_cpu_and_does_not_wait_for_torch() -> None:
    code = (
        "import sys\n"
        "from convoy.training.device_choice import device_of\n"
        "from convoy.core.params import Section\n"
        "sys.exit(device_of(Section()) != 'cpu' or 'torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_auto_is_float32_where_the_units_for_bfloat16_may_not_be_used() -> None:
    code = (
        "from convoy.training.devices import Device\n"
        "from convoy.core.training_params import TrainingParams\n"
        "auto, asked = (Device(TrainingParams(device='cpu', precision=p)) for p in ('auto', 'bfloat16'))\n"
        "print(auto.bfloat16, asked.bfloat16)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **AVX2}, capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["False", "True"]
