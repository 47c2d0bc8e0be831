"""The learning curve of a training."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Epoch:
    """One row of the learning curve; losses are means per example."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_figure: float
    learning_rate: float

    def columns(self, figure: str) -> dict[str, float]:
        """The row by the column names of curve.csv, rounded as there, with the name of its figure."""
        named = {key.replace("figure", figure): value for key, value in asdict(self).items()}
        return {**{key: float(f"{value:.6g}") for key, value in named.items()}, "epoch": self.epoch}


@dataclass(frozen=True)
class Fitted:
    """The learning curve, the epoch whose weights the network has, and the name of the figure."""

    curve: tuple[Epoch, ...]
    best: Epoch
    figure: str

    def csv(self) -> str:
        """The learning curve as CSV text, one row per epoch."""
        rows = [row.columns(self.figure) for row in self.curve]
        lines = [",".join(f"{value:.6g}" for value in row.values()) for row in rows]
        return "\n".join([",".join(rows[0]), *lines]) + "\n"
