"""Isotropic random fields with a given energy spectrum, autocorrelated from day to day."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Spectrum = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Modes:
    """Fourier modes on a periodic square of `size` cells, of which a corner of `window` cells is used.

    `size` should be at least twice `window`, so that opposite sides of the window are not correlated.
    energy(k): the variance summed over the shell of wavenumber k (cycles per `size`), scaled to a total of
    `std`**2.
    """

    size: int
    window: int
    energy: Spectrum
    std: float

    @property
    def wavenumber(self) -> npt.NDArray[np.float64]:
        """|k| of each mode of a real transform, (size, size // 2 + 1)."""
        return np.hypot(np.fft.fftfreq(self.size)[:, None], np.fft.rfftfreq(self.size)) * self.size

    @property
    def variance(self) -> npt.NDArray[np.float64]:
        """The variance of each mode, (size, size // 2 + 1); sums, with conjugates, to std**2."""
        k = self.wavenumber
        shell = np.rint(k).astype(int)
        inside = (shell > 0) & (shell <= self.size // 2)
        twice = np.full(k.shape, 2.0)
        twice[:, 0] = 1.0
        if self.size % 2 == 0:
            twice[:, -1] = 1.0
        members = np.bincount(shell.ravel(), weights=(inside * twice).ravel())
        wanted = np.where(inside, self.energy(np.maximum(shell, 1).astype(float)), 0.0)
        variance = np.divide(wanted, members[shell], out=np.zeros_like(wanted), where=inside)
        return variance * self.std**2 / (variance * twice).sum()

    def covariance(self) -> npt.NDArray[np.float64]:
        """Covariance of the field by lag, (size, size), periodic."""
        return np.fft.irfft2(self.variance * self.size**2, s=(self.size, self.size))

    def days(
        self, rng: np.random.Generator, count: int, memory_days: Spectrum, chunk: int = 64
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Fields of `count` days in chunks (n, window, window); each mode is AR(1) in its stationary state.

        memory_days(k): the e-folding time of the autocorrelation at wavenumber k.
        """
        k = np.maximum(self.wavenumber, 1.0)
        kept = np.exp(-1 / memory_days(k)).astype(np.float32)
        fresh = np.sqrt(1 - kept**2)
        amplitude = (np.sqrt(self.variance) * self.size).astype(np.float32)
        state = None
        for start in range(0, count, chunk):
            white = rng.standard_normal((min(chunk, count - start), self.size, self.size), dtype=np.float32)
            modes = np.fft.rfft2(white) * amplitude
            for day in range(len(modes)):
                state = modes[day] if state is None else kept * state + fresh * modes[day]
                modes[day] = state
            whole = np.fft.irfft2(modes, s=(self.size, self.size))
            yield np.ascontiguousarray(whole[:, : self.window, : self.window], np.float32)


def power_law(exponent: float, first: float = 1.0) -> Spectrum:
    """k**exponent from wavenumber `first` on; flat below."""
    return lambda k: np.maximum(k, first) ** exponent


def broken_power_law(steep: float, shallow: float, turn: float, first: float = 1.0) -> Spectrum:
    """k**steep up to wavenumber `turn`, k**shallow beyond, continuous there; flat below `first`."""

    def energy(k: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        k = np.maximum(k, first)
        return np.where(k < turn, k**steep, turn ** (steep - shallow) * k**shallow)

    return energy
