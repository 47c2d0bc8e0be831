import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from convoy.climate.events.data.io import TEST, TRAIN
from convoy.climate.events.gate import GateParams, judge


def with_row(images, name, row, value):
    column = getattr(images, name)
    if isinstance(column, pa.Array):
        values = column.to_pylist()
        values[row] = value
        return dataclasses.replace(images, **{name: pa.array(values, column.type)})
    changed = column.copy()
    changed[row] = value
    return dataclasses.replace(images, **{name: changed})


def on_both_sides(images):
    row = int(images.rows(TEST)[0])
    return with_row(images, "sha256", row, images.sha256[int(images.rows(TRAIN)[0])].as_py())


def without_training_images(images):
    split = images.split.copy()
    split[(images.labels == 2) & (images.split == TRAIN)] = TEST
    return dataclasses.replace(images, split=split)


def one_class(images):
    return dataclasses.replace(images, labels=np.zeros_like(images.labels))


def without_test(images):
    return dataclasses.replace(images, split=np.where(images.split == TEST, TRAIN, images.split))


def gap(images):
    values = images.values.copy()
    values[3, 1, 2, 2] = np.nan
    return dataclasses.replace(images, values=values)


def flat(images):
    values = images.values.copy()
    values[:20] = 1.0
    return dataclasses.replace(images, values=values)


def repeated(images):
    sums = images.sha256.to_pylist()
    rows = images.rows(TRAIN)
    for row in rows[:100]:
        sums[row] = sums[rows[0]]
    return dataclasses.replace(images, sha256=pa.array(sums))


def lost_mask(images):
    masks = images.masks.copy()
    masks[np.flatnonzero(images.labels == 1)[0]] = False
    return dataclasses.replace(images, masks=masks)


def huge_mask(images):
    masks = images.masks.copy()
    masks[np.flatnonzero(images.labels == 1)[0]] = True
    return dataclasses.replace(images, masks=masks)


def grey(images):
    facts = images.facts.model_copy(update={"repaired": {"grey": len(images.labels)}})
    return dataclasses.replace(images, facts=facts)


FAULTS = {
    "image_in_two_splits": on_both_sides,
    "class_unlearnt": without_training_images,
    "split_empty": without_test,
    "pixels_missing": gap,
    "image_constant": flat,
    "images_repeated": repeated,
    "mask_missing": lost_mask,
    "mask_large": huge_mask,
    "repaired_many": grey,
    "id_repeated": lambda images: with_row(images, "ids", 0, images.ids[1].as_py()),
}


def test_sound_images_pass(maps):
    verdict, page = judge(maps, GateParams())
    assert (verdict.failures, verdict.warnings) == ((), ())
    assert verdict.metrics()["splits"] == {"train": 300, "validation": 60, "test": 60}
    assert page == judge(maps, GateParams())[1]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_its_name(maps, name):
    verdict, _ = judge(FAULTS[name](maps), GateParams(max_repaired_share=0.5))
    assert name in [finding.name for finding in verdict.failures]


def test_one_class_alone_is_refused(maps):
    verdict, _ = judge(one_class(maps), GateParams())
    assert "class_unlearnt" in [finding.name for finding in verdict.failures]


def test_an_image_in_two_classes_is_a_warning(maps):
    row, other = maps.rows(TRAIN)[:2].tolist()
    images = with_row(with_row(maps, "sha256", row, maps.sha256[other].as_py()), "labels", row, 0)
    images = with_row(images, "labels", other, 1)
    verdict, _ = judge(images, GateParams())
    assert "image_in_two_classes" in [finding.name for finding in verdict.warnings]
