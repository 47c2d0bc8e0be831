"""The list of acceptance checks, and their run on one version."""

from collections.abc import Sequence

from convoy.acceptance import geometry, meaning, structure
from convoy.acceptance.case import Case, Check, Result
from convoy.acceptance.io import CHECKSUMS, COPIES, ONE_VERSION, PARTS_CHECK, SCHEMA_CHECK


def _no_catalogue(case: Case) -> str | None:
    return "no catalogue was given" if case.catalogue is None else None


def _no_texts(case: Case) -> str | None:
    if case.catalogue is not None and case.catalogue.text_sha256 is None:
        return "the catalogue has no checksums of its texts, and no model was given"
    return _no_catalogue(case)


def _no_categories(case: Case) -> str | None:
    if case.catalogue is not None and case.catalogue.categories is None:
        return "the catalogue has no categories"
    return _no_catalogue(case)


def _no_accepted(case: Case) -> str | None:
    return "there is no accepted version" if case.accepted is None else None


def _no_bag_of_words(case: Case) -> str | None:
    if case.bag_of_words is None:
        return "no bag-of-words vectors were given"
    if case.bag_of_words.sha256 == case.version.sha256:
        return "these are the bag-of-words vectors"
    return _no_categories(case)


def _no_model(case: Case) -> str | None:
    return "no model was given" if case.again is None else None


def _no_model_or_categories(case: Case) -> str | None:
    return _no_model(case) or _no_categories(case)


def _no_clicks(case: Case) -> str | None:
    if case.clicks is None:
        return "no metrics of a recommender were given"
    model = case.version.manifest.get("model")
    lacking = [name for name in (str(model), "category") if name not in case.clicks]
    return f"the metrics of the recommender lack {', '.join(lacking)}" if lacking else None


_READ = (PARTS_CHECK,)
_ROWS = (PARTS_CHECK, "ids", "finite", "overflow", "zeros")
CHECKS: tuple[Check, ...] = (
    Check(
        SCHEMA_CHECK,
        "the manifest has the form of this schema",
        structure.without_fault(SCHEMA_CHECK, "the manifest has the form of this schema"),
    ),
    Check(
        CHECKSUMS,
        "every file is as the manifest states",
        structure.without_fault(CHECKSUMS, "every file has the size and sha256 of the manifest"),
        needs=(SCHEMA_CHECK,),
    ),
    Check(
        PARTS_CHECK,
        "all rows can be read",
        structure.without_fault(PARTS_CHECK, "all rows of all parts can be read"),
        needs=(SCHEMA_CHECK,),
    ),
    Check(
        ONE_VERSION,
        "all parts were made at once",
        structure.without_fault(ONE_VERSION, "all parts state the facts of the manifest"),
        needs=_READ,
    ),
    Check(
        COPIES,
        "Parquet and .npy hold the same",
        structure.without_fault(COPIES, "Parquet and .npy hold the same ids and vectors"),
        needs=_READ,
    ),
    Check("ids", "ids are unique and sorted", structure.unique_ids, needs=_READ),
    Check("catalogue", "made from this catalogue", structure.of_this_catalogue, _no_catalogue),
    Check("missing", "no item is missing", structure.missing, _no_catalogue, _READ),
    Check("extra", "no row is extra", structure.extra, _no_catalogue, _READ),
    Check("texts", "texts are those of the catalogue", structure.texts, _no_texts, (PARTS_CHECK, "ids")),
    Check("finite", "no NaN, no infinity", structure.finite, needs=_READ),
    Check("overflow", "dot products fit into float32", structure.overflow, needs=(PARTS_CHECK, "finite")),
    Check(
        "zeros", "zero vectors are explained by their status", structure.zeros, needs=(PARTS_CHECK, "finite")
    ),
    Check("normalisation", "lengths are as declared and as accepted", geometry.normalisation, needs=_ROWS),
    Check("lengths", "no length is far from the others or the accepted", geometry.lengths, needs=_ROWS),
    Check(
        "dimension", "dimension of the accepted version", geometry.dimension, _no_accepted, (SCHEMA_CHECK,)
    ),
    Check("collapse", "vectors fill their space (RankMe, mean cosine)", geometry.collapse, needs=_ROWS),
    Check(
        "categories",
        "neighbours share categories more than at random",
        meaning.categories,
        _no_categories,
        _ROWS,
    ),
    Check(
        "bag_of_words",
        "neighbours share categories more than bag-of-words",
        meaning.bag_of_words,
        _no_bag_of_words,
        _ROWS,
    ),
    Check("weights", "made with the weights of the model", meaning.weights, _no_model),
    Check(
        "re_embedded",
        "random items embedded again have these vectors",
        meaning.embedded_again,
        _no_model,
        (PARTS_CHECK, "ids", "finite"),
    ),
    Check(
        "leaked_label",
        "vectors hold no more on categories than their texts",
        meaning.leaked_label,
        _no_model_or_categories,
        _ROWS,
    ),
    Check(
        "overlap",
        "neighbours resemble those of the accepted version",
        meaning.overlap,
        _no_accepted,
        (*_ROWS, "dimension"),
    ),
    Check("clicks", "clicks are ranked better than by category alone", meaning.clicks, _no_clicks),
)


def judged(case: Case, checks: Sequence[Check] = CHECKS) -> list[Result]:
    """The outcome of every check, in their order.

    A check of which another one that it needs failed is not run; it neither passes nor fails.
    """
    results: dict[str, Result] = {}
    for check in checks:
        reason = check.unless(case)
        lacking = [
            name for name in check.needs if name in results and results[name].state in ("failed", "not run")
        ]
        if reason is not None:
            results[check.name] = Result(check, "not applicable", reason)
        elif lacking:
            results[check.name] = Result(check, "not run", f"after {lacking[0]} failed")
        else:
            found = check.judge(case)
            state = "passed" if found.passed else "failed"
            results[check.name] = Result(check, state, found.words, found.figures)  # type: ignore[arg-type]
    return list(results.values())
