"""The page on what each representation of the items is worth to a recommender."""

from collections.abc import Mapping, Sequence
from typing import Any

from convoy.report.charts import Dot, DotPanel, dot_panels
from convoy.report.numbers import fixed, percent, points
from convoy.report.page import Section, Table, picture, render
from convoy.report.themes import LIGHT, Theme
from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.params import RETRAININGS

Figures = Mapping[str, Any]
_CLICKS = (
    "The click model gets age, tier and position through an MLP and an item's vector, projected; a user's "
    "own trained vector is multiplied with the latter. It is fitted on the earliest events, stopped on the "
    "next and tested on the last ones. Values are means over {seeds} trainings; intervals are 95% confidence "
    "intervals by a bootstrap of users and of trainings."
)
_RETRIEVAL = (
    "For each user all items of a group are ranked by the cosine to the mean vector of the items that the "
    "user clicked in training; popularity ranks them by training clicks. Cold items first appear after the "
    "training period. Relevant are the items that the user clicked in the test period. No candidate is "
    "sampled, equal scores are ordered by id, and lists are not padded."
)
_CONSUMER = (
    "A consumer is a click model that stays as it is while the embeddings are replaced by those of a "
    "retrained TextCNN; fed with those that it was fitted on, its area under the ROC curve is {auc:.4f}. One "
    "retraining begins with random weights and is shorter, the others with those of the version in use. "
    "The loss function of the compatible one also has the mean squared distance of item vectors to those of "
    "that version. The rotation is the orthogonal Procrustes rotation onto the version in use, which changes "
    "no dot product within a version. Accuracies are those of the classifier on test items, less that of the "
    "version in use; the texts are the same, so that a retraining has nothing new to learn."
)


def ladder_picture(details: Figures, theme: Theme) -> bytes:
    """Areas under the ROC curve, and recall of cold and of all items, with intervals."""
    clicks = [
        Dot(MODELS[name].label, one["auc"], one["auc_low"], one["auc_high"], MODELS[name].colour)
        for name, one in details["clicks"].items()
    ]
    panels = [DotPanel("Clicks: area under the ROC curve", _best_first(clicks))]
    for group, title in (("cold", "New items: recall@20"), ("overall", "All items: recall@20")):
        dots = [
            Dot(
                MODELS[name].label, one[group]["recall_at_20"], one[group]["recall_at_20_low"],
                one[group]["recall_at_20_high"], MODELS[name].colour,
            )
            for name, one in details["retrieval"].items()
            if group in one
        ]  # fmt: skip
        if dots:
            panels.append(DotPanel(title, dots))
    return dot_panels(panels, theme)


def pictures(details: Figures) -> dict[str, bytes]:
    """The pictures of the folder of plots; none without interactions."""
    return {"ladder.png": ladder_picture(details, LIGHT)} if details["clicks"] else {}


def page(
    details: Figures,
    consumer: Figures | None,
    words: Sequence[str],
    data: Figures,
    seeds: int,
) -> str:
    """The page as HTML; `data` is the content of interactions_report.json."""
    title = "What the embeddings are worth to a recommender"
    if not details["clicks"]:
        return render(title, words, [])
    drawn = picture(
        lambda theme: ladder_picture(details, theme),
        "Area under the ROC curve of clicks, and recall of new and of all items, by representation",
        wide=True,
    )
    sections = [
        Section("The ladder of representations", pictures=[drawn]),
        Section("Clicks", [_CLICKS.format(seeds=seeds)], tables=[_click_table(details)]),
        Section("Retrieval", [_RETRIEVAL], tables=[_retrieval_table(details)]),
    ]
    if consumer is not None:
        text = _CONSUMER.format(auc=consumer["auc_old"])
        sections.append(Section("Retrained versions", [text], tables=[_consumer_table(consumer)]))
    sections.append(Section("The interactions", _data_sentences(data, details)))
    described = Table(("representation", "what it holds"), [(r.label, r.summary) for r in MODELS.values()], 2)
    sections.append(Section("The representations", tables=[described], folded=True))
    return render(title, words, sections)


def _best_first(dots: list[Dot]) -> list[Dot]:
    return sorted(dots, key=lambda dot: -dot.value)


def _click_table(details: Figures) -> Table:
    rows = []
    for name, one in sorted(details["clicks"].items(), key=lambda item: -item[1]["auc"]):
        share = percent(one["share"]) if "share" in one else "–"
        rows.append(
            (
                MODELS[name].label, f"{one['auc']:.3f}", f"{one['auc_low']:.3f} to {one['auc_high']:.3f}",
                *(f"{one[key]:.3f}" if key in one else "–" for key in ("auc_cold", "auc_warm")),
                f"{one['log_loss']:.3f}", f"{one['calibration_error']:.3f}", share,
            )
        )  # fmt: skip
    header = (
        "representation", "AUC", "95% confidence interval", "AUC, new items", "AUC, known items", "log loss",
        "calibration error", "share of the way to the true taste",
    )  # fmt: skip
    return Table(header, rows)


def _retrieval_table(details: Figures) -> Table:
    header = ["representation"]
    header += [
        f"{what}, {group}"
        for group in ("cold", "warm", "overall")
        for what in ("recall@20", "NDCG@20", "MRR")
    ]
    rows = [
        (
            MODELS[name].label,
            *(
                f"{one[group][key]:.4f}" if group in one else "–"
                for group in ("cold", "warm", "overall")
                for key in ("recall_at_20", "ndcg_at_20", "mrr")
            ),
        )
        for name, one in details["retrieval"].items()
    ]
    return Table(header, rows)


def _consumer_table(consumer: Figures) -> Table:
    header = (
        "retrained", "loss as it is", "95% confidence interval", "loss, rotated", "95% confidence interval",
        "AUC, fitted again", "change of accuracy, points", "95% confidence interval", "McNemar p",
        "neighbours that are others", "cosine", "cosine, rotated",
    )  # fmt: skip
    rows = []
    for name, one in consumer["versions"].items():
        accuracy = one["accuracy"]
        losses = [
            text
            for how in ("unrotated", "rotated")
            for text in (
                fixed(one[f"loss_{how}"], 4),
                f"{fixed(one[f'loss_{how}_low'], 4)} to {fixed(one[f'loss_{how}_high'], 4)}",
            )
        ]
        rows.append(
            (
                RETRAININGS[name], *losses, f"{one['auc_refitted']:.4f}",
                points(accuracy["difference"]), f"{points(accuracy['low'])} to {points(accuracy['high'])}",
                f"{accuracy['mcnemar_p']:.2g}", percent(one["churn"]),
                fixed(one["cosine_unrotated"], 3), fixed(one["cosine"], 3),
            )
        )  # fmt: skip
    return Table(header, rows)


def _data_sentences(data: Figures, details: Figures) -> list[str]:
    splits = data["splits"]
    source = (
        f"Source: {data['source']}. {data['events']:,} events of {data['users']:,} users with "
        f"{data['items']:,} items; {percent(data['click_rate'])} are clicks. In the order of time "
        f"{splits['train']:,} are for training, {splits['validation']:,} for validation and "
        f"{splits['test']:,} for the test; of the latter {details['cold_test_events']:,} are with items that "
        "first appear after the training period."
    )
    unknown = (
        f"{details['unknown_test_users']:,} of {details['test_users']:,} users of the test have no event in "
        "training; the click model sees their age and tier alone."
    )
    found = [source, unknown]
    left_out = max(
        (one["cold"]["users_left_out"] for one in details["retrieval"].values() if "cold" in one), default=0
    )
    if details["cold_test_events"]:
        found.append(
            f"{left_out:,} users clicked no new item in the test period and are left out of that retrieval."
        )
    if data["sampled_negatives"]:
        found.append(
            f"{data['sampled_negatives']:,} events without a click were drawn at random, since the file "
            "holds clicks alone."
        )
    return found
