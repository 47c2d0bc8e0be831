"""What a reader of the synthetic texts finds in them, without the parameters that they are drawn from."""

import hashlib
import itertools

import pyarrow as pa

from convoy.streamrec.catalogue.synthetic import words
from convoy.streamrec.catalogue.synthetic.distribution import Distribution

ORDERS = list(itertools.permutations(range(3)))


def read_part(text: str, ids: dict[str, int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Noise ranks, signature words, and phrases as (triple, order), as a reader of the text finds them.

    Asserts that every run of phrase words falls into whole phrases.
    """
    noise, signature, phrases = [], [], []
    slots: list[tuple[int, int]] = []
    for word in text.split(" "):
        number = ids[word]
        if number >= words.FIRST_PHRASE:
            slots.append(divmod((number - words.FIRST_PHRASE) // words.MAX_SYNONYMS, 3))
            if len(slots) == 3:
                (triple,) = {triple for triple, _ in slots}
                phrases.append((triple, ORDERS.index(tuple(slot for _, slot in slots))))
                slots = []
            continue
        assert not slots, "a phrase was cut"
        if number >= words.FIRST_SIGNATURE:
            signature.append(number - words.FIRST_SIGNATURE)
        else:
            noise.append(number)
    assert not slots, "a phrase was cut"
    return noise, signature, phrases


def ids_of(distribution: Distribution) -> dict[str, int]:
    return {word: number for number, word in enumerate(distribution.words)}


def digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()
