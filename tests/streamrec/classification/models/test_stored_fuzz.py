"""A thousand stored text models with one byte or JSON value changed and their hashes renewed."""

import json
import random
import shutil
from typing import Any

import numpy as np
import pytest

from convoy.core import files
from convoy.core.artifact import read
from convoy.core.errors import ConvoyError
from convoy.streamrec.classification.corpus.build import encode
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from tests.support.tiny import MAX_TOKENS, write_model

TEXTS = ["a tale of two cities", "the caf\u00e9 at the end of the road", "", "one road two cats", "zebra"]
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    3,
    2**31,
    2**63,
    -(2**70),
    0.5,
    1e308,
    "",
    "x",
    [],
    [0],
    {},
    {"a": 1},
)
MODELS = 1000


def change_a_byte(draw, path):
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)


def places(value):
    """Every (container, key) of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield value, key
        yield from places(item)


def change_a_value(draw, path):
    value = json.loads(path.read_text())
    container, key = draw.choice(list(places(value)))
    change = draw.randrange(3)
    if change == 0:
        del container[key]
    elif change == 1 and isinstance(container, dict):
        container[f"{key}x"] = container.pop(key)
    else:
        container[key] = draw.choice(VALUES)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("kind", ["bow", "textcnn"])
def test_an_altered_model_is_refused_in_one_line_or_gives_sound_vectors(tmp_path, kind):
    write_model(tmp_path / "sound", kind, TEXTS[:4])
    names = ("model.safetensors", "config.json", "tokenizer.json")
    sound = {name: (tmp_path / "sound" / name).read_bytes() for name in names}
    folder = tmp_path / "altered"
    shutil.copytree(tmp_path / "sound", folder)
    draw, lines = random.Random(f"altered {kind}"), []
    for number in range(MODELS // 2):
        name = names[number % 3]
        by_value = name != "model.safetensors" and draw.random() < 0.7
        (change_a_value if by_value else change_a_byte)(draw, folder / name)
        (folder / files.MANIFEST).unlink()
        files.write_manifest(folder)
        try:
            embedder = Embedder(read(folder), EmbedParams())
            tokens, offsets = encode((folder / "tokenizer.json").read_text(), TEXTS, MAX_TOKENS)
            vectors, status = embedder.embed(tokens, offsets)
            assert vectors.shape == (len(TEXTS), embedder.dimension), number
            assert vectors.dtype == np.float32
            assert np.isfinite(vectors).all(), number
            assert (vectors.any(1) == (status == 0)).all(), number
        except ConvoyError as error:
            lines.append(str(error))
        (folder / name).write_bytes(sound[name])
    assert all("\n" not in line and 10 < len(line) < 1000 for line in lines)
    assert MODELS // 8 < len(lines) < MODELS // 2  # some bytes of weights, names and texts may be anything
