import pytest
import torch

from convoy.climate.events.models.params import ImageTraining, SimpleCNNParams
from convoy.climate.events.sources.io import SyntheticParams, drawn
from convoy.core import artifact
from convoy.core.augmentation_params import Augmentation


@pytest.fixture(scope="session")
def maps():
    """Loud events, so that a small network learns them in seconds."""
    return drawn(SyntheticParams(train=300, validation=60, test=60, amplitude=4.0, decoys=0.2))


@pytest.fixture(scope="session")
def cnn_params():
    training = ImageTraining(epochs=3, batch_size=32, precision="float32", threads=1, device="cpu")
    return SimpleCNNParams(width=8, training=training, augmentation=Augmentation())


@pytest.fixture(scope="session")
def cnn_folder(maps, cnn_params, tmp_path_factory):
    from convoy.climate.events.models.specs import train

    threads = torch.get_num_threads()
    try:
        config, tensors, curve = train("simple_cnn", cnn_params, maps, (0,))
    finally:
        torch.set_num_threads(threads)
    folder = tmp_path_factory.mktemp("events") / "simple_cnn"
    artifact.write(folder, config, tensors, None, curve)
    return folder


@pytest.fixture
def cnn(cnn_folder):
    return artifact.read(cnn_folder)
