"""Checks a stored image model before it is used: its config, and names, types and shapes of its tensors."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol, Self, TypeAlias

import numpy.typing as npt
from pydantic import Field, model_validator

from convoy.climate.events.models.params import ImageTraining, MajorityParams, PixelsParams, SpectraParams
from convoy.core.artifact import CONFIG, StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import Section, parse
from convoy.core.printable import cut
from convoy.core.stored import AGAIN, Expected, Name, StoredConfig, check

CheckTensors: TypeAlias = Callable[[Mapping[str, npt.NDArray[Any]], Any, str], None]
"""Tensors, the parsed config, and what begins the line of a ConvoyError."""
_Number = Annotated[float, Field(ge=-1e10, le=1e10)]


class _Standard(Section):
    mean: tuple[_Number, ...] = Field(min_length=1, max_length=64)
    std: tuple[Annotated[float, Field(gt=0, le=1e10)], ...] = Field(min_length=1, max_length=64)


class _Network(Section):
    """Arguments of a network; those after `in_channels` are of SimpleCNN alone."""

    name: Name
    num_classes: int = Field(ge=2, le=100_000)
    in_channels: int = Field(ge=1, le=64)
    blocks_per_stage: tuple[Annotated[int, Field(ge=1, le=16)], ...] | None = Field(
        None, min_length=4, max_length=4
    )
    small_stem: bool | None = None
    width: int | None = Field(None, ge=1, le=256)


class Config(StoredConfig):
    """What every model of this task has in its config.json."""

    classes: tuple[Name, ...] = Field(min_length=1, max_length=100_000)
    channels: tuple[Name, ...] = Field(min_length=1, max_length=64)
    units: tuple[Annotated[str, Field(max_length=100)], ...] = Field(max_length=64)
    edges: tuple[Annotated[int, Field(ge=4, le=1024)], Annotated[int, Field(ge=4, le=1024)]]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: expected each once")
        if len(set(self.channels)) != len(self.channels) or len(self.units) != len(self.channels):
            raise ValueError("channels: expected each once, and a unit for each")
        standard = getattr(self, "standard", None)
        if standard is not None and {len(standard.mean), len(standard.std)} != {len(self.channels)}:
            raise ValueError(f"standard: expected {len(self.channels)} channels")
        network = getattr(self, "network", None)
        if network is not None and (network.num_classes, network.in_channels) != (
            len(self.classes), len(self.channels),
        ):  # fmt: skip
            raise ValueError("network: expected as many classes and channels as the config names")
        return self


class NetworkConfig(Config):
    """The config of a network."""

    standard: _Standard
    network: _Network
    temperature: float = Field(gt=0, le=1000)
    layer: Name


class LinearConfig(Config):
    """The config of a linear baseline."""

    standard: _Standard


class Row(Protocol):
    """The part of a registry row used here: the check of a baseline's tensors, None for a network."""

    @property
    def check(self) -> CheckTensors | None: ...


def check_model(stored: StoredModel, models: Mapping[str, Row]) -> StoredModel:
    """The model, after checking that its config and tensors are consistent.

    models: the registry's rows by name. Raises ConvoyError for the first fault: an unknown kind or key, a
    value out of bounds, a tensor of another name, type, shape or range.
    """
    kind = stored.config.get("kind")
    if not isinstance(kind, str) or kind not in models:
        raise ConvoyError(
            f"model '{cut(str(kind), 40)}' reads no images", path=stored.name,
            expected=f"one of {', '.join(models)}",
        )  # fmt: skip
    of_baseline = models[kind].check
    where = f"{stored.name}: {CONFIG}"
    if of_baseline is None:
        network = parse(stored.config, NetworkConfig, where)
        parse(stored.config["training"], ImageTraining, where, "training")
        for seed, tensors in stored.seeds.items():
            _check_network(tensors, network, stored.name, f"{stored.name}: seed {seed}")
        return stored
    config = parse(stored.config, Config if kind == "majority" else LinearConfig, where)
    for seed, tensors in stored.seeds.items():
        of_baseline(tensors, config, f"{stored.name}: seed {seed}")
    return stored


def _check_network(
    tensors: Mapping[str, npt.NDArray[Any]], config: NetworkConfig, name: str, where: str
) -> None:
    from convoy.climate.events.networks.fit import shapes, skeleton
    from convoy.nn.images import IMAGE_MODELS

    arguments = config.network.model_dump(mode="json", exclude_none=True)
    if config.network.name not in IMAGE_MODELS:
        raise ConvoyError(
            path=f"{name}: {CONFIG}", key="network.name", expected="one of convoy.nn.images.IMAGE_MODELS",
            found=config.network.name,
        )  # fmt: skip
    options = set(arguments) - {"name", "num_classes", "in_channels"}
    if options and config.network.name != "simple_cnn":
        raise ConvoyError(f"options of SimpleCNN: {', '.join(sorted(options))}", path=f"{name}: {CONFIG}")
    network = skeleton(arguments)
    if config.layer not in dict(network.named_modules()):
        raise ConvoyError(
            path=f"{name}: {CONFIG}", key="layer", expected="a layer of the network", hint=AGAIN
        )
    expected = {
        key: Expected(kind, shape, low=0, high=2.0**62 if kind == "int64" else 1e10)
        if kind == "int64" or key.endswith("running_var")
        else Expected(kind, shape)
        for key, (kind, shape) in shapes(network).items()
    }
    check(tensors, expected, where)


def check_linear(tensors: Mapping[str, npt.NDArray[Any]], config: Any, where: str) -> None:
    """Check the tensors of baselines.fit: as many features as images of these edges have."""
    from convoy.climate.events.baselines import count_features

    params = parse(config.training, SpectraParams if config.kind == "spectra" else PixelsParams, where)
    bins = params.bins if isinstance(params, SpectraParams) else 0
    count = count_features(config.kind, len(config.channels), config.edges, params.cells, bins)
    classes = len(config.classes)
    expected = {
        "coef": Expected("float32", (classes, count)),
        "intercept": Expected("float32", (classes,)),
        "centre": Expected("float64", (count,)),
        "scale": Expected("float64", (count,), low=1e-30),
        "C": Expected("float64", (1,), low=0),
    }
    check(tensors, expected, where)


def check_majority(tensors: Mapping[str, npt.NDArray[Any]], config: Any, where: str) -> None:
    """A share of each class, together 1."""
    parse(config.training, MajorityParams, where)
    check(tensors, {"frequencies": Expected("float64", (len(config.classes),), low=0, high=1)}, where)
    if abs(tensors["frequencies"].sum() - 1) > 1e-9:
        raise ConvoyError(path=where, key="tensor 'frequencies'", expected="a sum of 1", hint=AGAIN)
