"""Checks a stored model of site-years before it is used: config and tensors must be consistent."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from convoy.climate.series.data.site_years import DAYS, VARIABLES
from convoy.climate.series.models.baselines import FEATURES, feature_count
from convoy.core.artifact import CONFIG, StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import Section, parse
from convoy.core.printable import cut
from convoy.core.stored import AGAIN, LARGEST, Expected, Name, StoredConfig, check

TASK = "climate/series"
NETWORKS = ("temporal_cnn",)
MAJORITY = "majority"


class _Network(Section):
    num_classes: int = Field(ge=1, le=1000)
    n_variables: int = Field(ge=1, le=len(VARIABLES))
    n_filters: int = Field(ge=1, le=4096)
    kernel_size: int = Field(ge=1, le=63)
    n_layers: int = Field(ge=1, le=8)
    output_dim: int = Field(ge=1, le=4096)
    dropout: float = Field(ge=0, lt=1)


class _NoNetwork(Section):
    """A baseline has none."""


class _Config(StoredConfig):
    task: Annotated[str, Field(pattern=f"^{TASK}$")]
    categories: tuple[Name, ...] = Field(min_length=1, max_length=1000)
    variables: tuple[Name, ...] = Field(min_length=1, max_length=len(VARIABLES))

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("categories: expected each once")
        if not set(self.variables) <= set(VARIABLES) or len(set(self.variables)) != len(self.variables):
            raise ValueError(f"variables: expected some of {', '.join(VARIABLES)}, each once")
        network = getattr(self, "network", None)
        if isinstance(network, _Network):
            if network.num_classes != len(self.categories):
                raise ValueError(f"network.num_classes: expected {len(self.categories)}")
            if network.n_variables != len(self.variables):
                raise ValueError(f"network.n_variables: expected {len(self.variables)}")
        return self


class _NetworkConfig(_Config):
    network: _Network


class _BaselineConfig(_Config):
    network: _NoNetwork


def check_model(stored: StoredModel) -> StoredModel:
    """The model, after checking its config and tensors; ConvoyError for the first fault."""
    kind = stored.config.get("kind")
    known = (*NETWORKS, *FEATURES, MAJORITY)
    if kind not in known:
        raise ConvoyError(
            f"model '{cut(str(kind), 40)}' reads no site-years", path=stored.name,
            expected=f"one of {', '.join(known)}",
        )  # fmt: skip
    section = _NetworkConfig if kind in NETWORKS else _BaselineConfig
    config = parse(stored.config, section, f"{stored.name}: {CONFIG}")
    classes, variables = len(config.categories), len(config.variables)
    for seed, tensors in stored.seeds.items():
        where = f"{stored.name}: seed {seed}"
        if isinstance(config, _NetworkConfig):
            check(tensors, network_tensors(config.network.model_dump()), where)
        elif kind == MAJORITY:
            _check_shares(tensors, classes, where)
        else:
            check(tensors, _linear_tensors(classes, feature_count(kind, variables)), where)
    return stored


def network_tensors(network: Mapping[str, Any]) -> dict[str, Expected]:
    """Tensors of nn.temporal.SeriesClassifier by `state_dict` name, from its constructor's arguments."""

    def weights(*shape: int) -> Expected:
        return Expected("float32", shape)

    count, classes = network["n_variables"], network["num_classes"]
    widths = [network["n_filters"] * min(2**layer, 4) for layer in range(network["n_layers"])]
    found = {"cycle_VT": weights(count, DAYS), "whitening_VV": weights(count, count)}
    for layer, (before, width) in enumerate(zip([count, *widths], widths, strict=False)):
        block = {
            "0.weight": weights(width, before, network["kernel_size"]), "0.bias": weights(width),
            "1.weight": weights(width), "1.bias": weights(width), "1.running_mean": weights(width),
            "1.running_var": Expected("float32", (width,), low=0),
            "1.num_batches_tracked": Expected("int64", (), low=0, high=2.0**62),
        }  # fmt: skip
        found |= {f"encoder.blocks.{layer}.{name}": value for name, value in block.items()}
    outputs = network["output_dim"]
    return found | {
        "encoder.project.weight": weights(outputs, widths[-1]), "encoder.project.bias": weights(outputs),
        "classifier.weight": weights(classes, outputs), "classifier.bias": weights(classes),
    }  # fmt: skip


def _linear_tensors(classes: int, features: int) -> dict[str, Expected]:
    return {
        "coef": Expected("float64", (classes, features)), "intercept": Expected("float64", (classes,)),
        "mean": Expected("float64", (features,)), "scale": Expected("float64", (features,), low=1e-13),
        "C": Expected("float64", (1,), low=0, high=LARGEST),
    }  # fmt: skip


def _check_shares(tensors: Mapping[str, npt.NDArray[Any]], classes: int, where: str) -> None:
    check(tensors, {"frequencies": Expected("float64", (classes,), low=0, high=1)}, where)
    if abs(float(np.sum(tensors["frequencies"])) - 1) > 1e-9:
        raise ConvoyError(path=where, key="tensor 'frequencies'", expected="a sum of 1", hint=AGAIN)
