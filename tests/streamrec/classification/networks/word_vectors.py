"""Small files of word vectors, one in each format."""

import gzip

import numpy as np
from safetensors.numpy import save_file

WORDS = {
    "the": [0.25, -1.5, 3e-05],
    "</s>": [1.0, 2.0, 3.0],
    "caf\u00e9": [0.125, 0.5, -2.0],
    "Paris": [-0.75, 4.0, 0.0],
    "road": [2.5, 0.0625, -0.001],
}
FORMATS = ("word2vec", "glove", "fasttext", "word2vec.gz", "glove.gz", "fasttext.gz", "safetensors")


def write(folder, form, words=None):
    """Write `words` (WORDS where left out) in a format of FORMATS; return the path."""
    words = WORDS if words is None else words
    if form == "safetensors":
        path = folder / "vectors"
        path.mkdir()
        save_file({"vectors": np.float32(list(words.values()))}, path / "vectors.safetensors")
        (path / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        return path
    kind, _, packed = form.partition(".")
    end = {"word2vec": "\n", "glove": "\n", "fasttext": " \n"}[kind]  # fastText ends each line with a blank
    lines = [f"{word} {' '.join(map(repr, numbers))}{end}" for word, numbers in words.items()]
    if kind != "glove":
        lines = [f"{len(words)} {len(next(iter(words.values())))}\n", *lines]
    text = "".join(lines).encode()
    path = folder / f"vectors.{'vec' if kind == 'fasttext' else 'txt'}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(text) if packed else text)
    return path
