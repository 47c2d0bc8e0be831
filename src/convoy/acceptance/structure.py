"""Checks of files, ids and single values."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from convoy.acceptance.case import Case, Finding
from convoy.core.printable import cut
from convoy.embeddings.io import OK, STATUSES

LONGEST_NORM = 1e19  # the square of a longer one is no float32
_SHOWN = 3
_ID = 40


def without_fault(name: str, words: str) -> Callable[[Case], Finding]:
    """A check that passes, with `words`, where reading the folder found no fault of that name."""

    def judge(case: Case) -> Finding:
        fault = case.version.faults.get(name)
        return Finding(fault is None, words if fault is None else fault)

    return judge


def named(ids: npt.NDArray[np.str_], noun: str) -> str:
    """A count of items and the first of their ids."""
    first = ", ".join(f"'{cut(one, _ID)}'" for one in ids[:_SHOWN].tolist())
    more = ", …" if len(ids) > _SHOWN else ""
    return f"{len(ids):,} {noun}: {first}{more}"


def unique_ids(case: Case) -> Finding:
    """Ids are sorted as UTF-8, which for str is the order of code points, and each stands once."""
    ids = case.items.ids
    twice = ids[1:][ids[1:] == ids[:-1]]
    if len(twice):
        return Finding(False, named(np.unique(twice), "ids stand more than once"), {"doubled": len(twice)})
    # Among unsorted ids equal ones need not stand side by side.
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        return Finding(False, named(values[counts > 1], "ids stand more than once"))
    if not (ids[1:] > ids[:-1]).all():
        return Finding(False, "the ids are not sorted")
    if (np.char.str_len(np.char.strip(ids)) == 0).any():
        return Finding(False, "an id is blank")
    return Finding(True, f"{len(ids):,} ids, sorted, each once")


def of_this_catalogue(case: Case) -> Finding:
    """The manifest names the checksum of this file, as the catalogue or as its source."""
    assert case.catalogue is not None
    stated, given = case.version.manifest.get("catalogue_sha256"), case.catalogue.sha256
    sources = case.version.manifest.get("source_sha256")
    if stated == given or (isinstance(sources, list) and given in sources):
        return Finding(True, "made from this very catalogue")
    return Finding(False, f"made from another file (sha256 {str(stated)[:12]}, not {given[:12]})")


def missing(case: Case) -> Finding:
    """Every item of the catalogue has a row."""
    assert case.catalogue is not None
    lost = np.setdiff1d(case.catalogue.ids, case.items.ids)
    if len(lost):
        return Finding(False, named(lost, "items of the catalogue have no row"), {"missing": len(lost)})
    return Finding(True, f"all {len(case.catalogue.ids):,} items of the catalogue have a row")


def extra(case: Case) -> Finding:
    """Every row is an item of the catalogue."""
    assert case.catalogue is not None
    more = np.setdiff1d(case.items.ids, case.catalogue.ids)
    if len(more):
        return Finding(False, named(more, "rows are no items of the catalogue"), {"extra": len(more)})
    return Finding(True, "every row is an item of the catalogue")


def texts(case: Case) -> Finding:
    """The text of each item, by its checksum, is that of the catalogue."""
    assert case.catalogue is not None
    assert case.catalogue.text_sha256 is not None
    shared, ours, theirs = np.intersect1d(case.items.ids, case.catalogue.ids, return_indices=True)
    other = case.items.text_sha256[ours] != case.catalogue.text_sha256[theirs]
    if other.any():
        words = named(shared[other], "items were embedded from another text")
        return Finding(False, words, {"other_texts": int(other.sum())})
    return Finding(True, f"the texts of {len(shared):,} items are those of the catalogue")


def finite(case: Case) -> Finding:
    """No NaN and no infinity."""
    bad = np.concatenate([~np.isfinite(block).all(1) for block in case.blocks()])
    if bad.any():
        words = named(case.items.ids[bad], "vectors hold NaN or infinity")
        return Finding(False, words, {"not_finite": int(bad.sum())})
    return Finding(True, "all values are finite")


def overflow(case: Case) -> Finding:
    """No vector whose product with itself is beyond float32."""
    lengths = case.norms
    bad = lengths > LONGEST_NORM
    if bad.any():
        words = named(case.items.ids[bad], f"vectors are longer than {LONGEST_NORM:g}")
        return Finding(False, f"{words}; dot products overflow float32", {"overflowing": int(bad.sum())})
    return Finding(
        True, f"dot products stay within float32; the longest vector has length {lengths.max():.4g}"
    )


def zeros(case: Case) -> Finding:
    """A vector is all zeros exactly where its status explains it, and the manifest counts the statuses."""
    zero, ok = case.norms == 0, case.items.status == OK
    if (zero & ok).any():
        return Finding(False, named(case.items.ids[zero & ok], "vectors are zeros though their status is ok"))
    if (~zero & ~ok).any():
        return Finding(False, named(case.items.ids[~zero & ~ok], "vectors are not zeros though not ok"))
    counted = {name: int((case.items.status == place).sum()) for place, name in enumerate(STATUSES)}
    stated = case.version.manifest["status"]
    for name, count in counted.items():
        if stated.get(name, 0) != count:
            return Finding(False, f"{count:,} items are {name}, by the manifest {stated.get(name, 0)}")
    if zero.all():
        return Finding(False, "no item has a vector, which each status explains")
    return Finding(True, f"{int(zero.sum()):,} vectors are zeros, each explained by its status")
