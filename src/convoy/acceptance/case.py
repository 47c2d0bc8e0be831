"""What the acceptance checks of one version are given, and what a check returns. No disk."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.embeddings.io import OK
from convoy.embeddings.similarity import Nearest, nearest

State: TypeAlias = Literal["passed", "failed", "not applicable", "not run"]
NEIGHBOURS = 10
SAMPLE = 1_000  # items whose neighbours are searched and which are embedded again
SEED = 0
_BLOCK_ROWS = 8_192


@dataclass(frozen=True, eq=False)
class Items:
    """The rows of an embeddings folder, in the order of its files.

    ids (N,), vectors (N, D), text_sha256 (N,) hex as bytes, status (N,) by number of `io.STATUSES`.
    """

    ids: npt.NDArray[np.str_]
    vectors: npt.NDArray[np.float32]
    text_sha256: npt.NDArray[np.bytes_]
    status: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Version:
    """An embeddings folder as far as it can be read.

    faults: by name of a check, what is wrong with the files. items: None where they cannot be read.
    sha256: that of the manifest, which names the content.
    """

    name: str
    sha256: str
    manifest: Mapping[str, Any]
    faults: Mapping[str, str]
    items: Items | None


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The items that a version should hold, sorted by id; what is not known is None.

    sha256: that of the file. titles, categories, text_sha256 (M,).
    """

    sha256: str
    ids: npt.NDArray[np.str_]
    titles: npt.NDArray[np.str_] | None = None
    categories: npt.NDArray[np.str_] | None = None
    text_sha256: npt.NDArray[np.bytes_] | None = None


@dataclass(frozen=True, eq=False)
class Again:
    """Items of the sample that a model embedded again: ids (S,), vectors (S, D), status (S,).

    weights_sha256: those of the model. of_seeds: the vectors of its other training seeds, if it has any.
    """

    weights_sha256: str
    ids: npt.NDArray[np.str_]
    vectors: npt.NDArray[np.float32]
    status: npt.NDArray[np.uint8]
    of_seeds: tuple[npt.NDArray[np.float32], ...] = ()


@dataclass(frozen=True, eq=False)
class Finding:
    """Result of a check: whether it passed, what was found in words, and figures."""

    passed: bool
    words: str
    figures: Mapping[str, float | int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Case:
    """A version, and what it is compared with; None for what was not given.

    clicks: by representation of the items, the figures of a click model (`auc`, `auc_low`, …).
    """

    version: Version
    catalogue: Catalogue | None = None
    accepted: Version | None = None
    bag_of_words: Version | None = None
    again: Again | None = None
    clicks: Mapping[str, Mapping[str, float]] | None = None

    @property
    def items(self) -> Items:
        """The rows of the version, for checks that need them."""
        assert self.version.items is not None
        return self.version.items

    @cached_property
    def norms(self) -> npt.NDArray[np.float64]:
        """Length of each vector (N,)."""
        return np.concatenate([np.sqrt(np.square(part, dtype=np.float64).sum(1)) for part in self.blocks()])

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """The vectors in blocks of rows."""
        vectors = self.items.vectors
        for start in range(0, len(vectors), _BLOCK_ROWS):
            yield vectors[start : start + _BLOCK_ROWS]

    @cached_property
    def sample(self) -> npt.NDArray[np.int64]:
        """Rows of up to 1,000 random items that have a vector."""
        return sampled(self.items)

    @cached_property
    def nearest(self) -> Nearest:
        """The neighbours of the sample."""
        vectors = self.items.vectors
        return nearest(vectors, vectors[self.sample], NEIGHBOURS, own=self.sample)

    @cached_property
    def categories(self) -> npt.NDArray[np.int64]:
        """The category of each row as a number, -1 where the catalogue has none."""
        assert self.catalogue is not None
        return category_numbers(self.catalogue, self.items.ids)


def sampled(items: Items) -> npt.NDArray[np.int64]:
    """Rows of up to 1,000 items whose status is ok, the same for every version of the same items."""
    rows = np.flatnonzero(items.status == OK)
    random = np.random.default_rng(SEED)
    return np.sort(random.choice(rows, min(SAMPLE, len(rows)), replace=False))


def sampled_ids(version: Version) -> npt.NDArray[np.str_]:
    """Ids of the sample; none where the version cannot be read."""
    return np.empty(0, np.str_) if version.items is None else version.items.ids[sampled(version.items)]


def category_numbers(catalogue: Catalogue, ids: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """Number of each id's category among the catalogue's sorted ones, -1 for an unknown id or no category."""
    assert catalogue.categories is not None
    names, numbers = np.unique(catalogue.categories, return_inverse=True)
    places = np.minimum(np.searchsorted(catalogue.ids, ids), len(catalogue.ids) - 1)
    known = (catalogue.ids[places] == ids) & (names[numbers[places]] != "")
    return np.where(known, numbers[places], -1)


@dataclass(frozen=True)
class Check:
    """A row of the list of checks: its name, what it checks, when it applies, and its function.

    unless: returns why it does not apply to a case, or None where it does. needs: names of checks that have
    to pass first, since `judge` could not compute anything otherwise.
    """

    name: str
    what: str
    judge: Callable[[Case], Finding]
    unless: Callable[[Case], str | None] = lambda _case: None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """A check with its outcome."""

    check: Check
    state: State
    words: str
    figures: Mapping[str, float | int] = field(default_factory=dict)
