"""Sentences of the report on regimes of sites."""

from convoy.classifiers.comparison.subject import Comparison, Subject
from convoy.climate.series.cases import BAYES
from convoy.climate.series.models.specs import MODELS
from convoy.report.numbers import percent


def _bayes_sentence(comparison: Comparison) -> str:
    bayes = comparison["bayes"]
    if bayes is None:
        return "For real stations the Bayes accuracy is not known."
    return (
        f"The Bayes rule classifies {percent(bayes[BAYES])} of these site-years correctly, and on average no "
        "model does better: the likelihood of each regime is exact, and that of all six variables."
    )


SUBJECT = Subject(
    models=MODELS,
    cases="site-years",
    category="regime",
    bayes={BAYES: "Bayes accuracy"},
    bound=dict.fromkeys(MODELS, BAYES),
    bayes_sentence=_bayes_sentence,
    weights_note="First seed. The stored weights are those of the epoch with the lowest validation loss.",
    method="No site is in two splits. All models are fitted on the same daily values; the features of the "
    "baselines do not depend on the order of nearby days. Intervals take site-years as independent. Years of "
    "one site are more alike than those of different sites, so that the intervals are too narrow, at most by "
    "the square root of the number of years of a site.",
    bayes_method="The Bayes accuracy is that of the rule with the exact likelihood of each regime on the "
    "same test site-years: the synthetic weather is a Gaussian process with known parameters.",
)
