"""Word vectors that others trained, as initial embeddings of a vocabulary."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PADDING = 0


@dataclass(frozen=True, eq=False)
class WordVectors:
    """The vectors `rows` (n, D) float32 of the words with the token ids `ids` (n,), ascending; n > 0."""

    ids: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float32]

    @property
    def sha256(self) -> str:
        """Checksum of ids and rows, hex."""
        return hashlib.sha256(self.ids.tobytes() + self.rows.tobytes()).hexdigest()

    def table(self, vocab_size: int, seed: int) -> npt.NDArray[np.float32]:
        """Embeddings of all token ids (vocab_size, D).

        Words without a vector are drawn from U[-a, a], with `a` so that their variance is that of the others'
        numbers (Kim, 2014, section 3.2); padding is zeros.
        """
        half = np.sqrt(3 * self.rows.var(dtype=np.float64))
        random = np.random.default_rng(seed)
        table = random.uniform(-half, half, (vocab_size, self.rows.shape[1])).astype(np.float32)
        table[self.ids] = self.rows
        table[PADDING] = 0
        return table

    def facts(self, vocab_size: int, tokens: npt.NDArray[Any]) -> dict[str, Any]:
        """Coverage: words of the vocabulary that have a vector, and their share of the training `tokens`."""
        has_vector = np.zeros(vocab_size, bool)
        has_vector[self.ids] = True
        words = vocab_size - 2  # without padding and the unknown word
        share = round(float(has_vector[tokens].mean()), 6)
        return {"found": len(self.ids), "vocabulary": words, "tokens": share, "sha256": self.sha256}


def used(config: Mapping[str, Any]) -> dict[str, Any]:
    """The key `vectors` of a model's metrics, mode and coverage, from its config; empty without vectors."""
    facts = config.get("vectors")
    return {} if facts is None else {"vectors": {"mode": config["network"]["mode"], **facts}}


def coverage(facts: Mapping[str, Any]) -> str:
    """The coverage that `WordVectors.facts` returns, in one line."""
    found, words = facts["found"], facts["vocabulary"]
    return (
        f"vectors: found for {found:,} of {words:,} words of the vocabulary ({found / words:.1%}), which are "
        f"{facts['tokens']:.1%} of the training texts; the others were drawn with the same variance"
    )
