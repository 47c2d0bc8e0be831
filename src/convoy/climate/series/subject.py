"""Sentences of the report on regimes of sites."""

from convoy.classifiers.comparison.subject import Comparison, Subject
from convoy.climate.series.evaluation.cases import BAYES
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
    method="No site is in two splits. All models are fitted on the same daily values; of the baselines, only "
    "that on correlations uses the order of the days. Years of one site are more alike than those of "
    "different sites: resamples are of whole sites. McNemar's p takes site-years as independent.",
    bayes_method="The Bayes accuracy is that of the rule with the exact likelihood of each regime on the "
    "same test site-years: the dynamics of the synthetic weather are known. Regimes respond differently to "
    "deep lows and strong highs, in a way that hardly changes correlations of one day or of two.",
)
