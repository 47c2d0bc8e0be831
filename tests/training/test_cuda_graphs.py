"""Recorded steps do what plain steps do; all of it needs a GPU."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

from convoy.core.training_params import TrainingParams
from convoy.nn.text import TextCNN
from convoy.streamrec.classification.networks.batches import TextBatches
from convoy.training.batches import Batch
from convoy.training.checkpoints import Checkpoint
from convoy.training.cuda_graphs import GraphedSteps
from convoy.training.loop import fit, predict, seeded
from convoy.training.objectives import Classification

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def examples(count: int, seed: int) -> TextBatches:
    """Two classes that words 2..5 and 6..9 tell apart, in texts of 1 to 12 words with some noise."""
    random = np.random.default_rng(seed)
    lengths, labels = random.integers(1, 13, count), random.integers(0, 2, count)
    own = [random.integers(2, 6, n) + 4 * y for n, y in zip(lengths, labels, strict=True)]
    noisy = [
        np.where(random.random(len(text)) < 0.8, text, random.integers(2, 10, len(text))) for text in own
    ]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = torch.from_numpy(np.concatenate(noisy).astype(np.int32))
    return TextBatches(tokens, offsets, torch.from_numpy(labels), [str(i) for i in range(count)])


def network() -> TextCNN:
    with seeded(5):
        return TextCNN(10, 16, 8, (2, 3), 2, dropout=0.0)


@pytest.mark.filterwarnings("ignore:.*capturable=True")
def test_recorded_steps_give_the_losses_of_plain_steps() -> None:
    train = examples(512, 0).to(torch.device("cuda"))
    losses = []
    for recorded in (False, True):
        model = network().cuda()
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True, capturable=True)

        def step(batch: Batch) -> torch.Tensor:
            tokens, labels = train.draw(batch, training=True)
            with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
                outputs = model(tokens)  # noqa: B023
            loss = torch.nn.functional.cross_entropy(outputs.float(), labels)
            loss.backward()
            optimiser.step()  # noqa: B023
            optimiser.zero_grad(set_to_none=True)  # noqa: B023
            return loss.detach()

        take_step = GraphedSteps(step) if recorded else step
        plan = train.plan(128, np.random.default_rng(0))
        losses.append([float(take_step(batch)) for _ in range(5) for batch in plan])
        del take_step
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0] / 2


def test_fits_one_after_the_other_give_the_same_and_leave_no_graphs() -> None:
    """A graph freed by the garbage collector in the midst of a later recording would break that one."""
    params = TrainingParams(
        recipe="adam", learning_rate=1e-2, batch_size=64, epochs=6, patience=6, device="cuda",
        average_epochs=1.0,
    )  # fmt: skip
    curves, outputs = [], []
    for _ in range(3):
        model = network()
        data = examples(1000, 0), examples(300, 1)
        curves.append(fit(model, *data, Classification(), params, 0, "textcnn").curve)
        outputs.append(predict(model, examples(300, 2), params))
    assert not [thing for thing in gc.get_objects() if type(thing) is GraphedSteps]
    assert curves[0] == curves[1] == curves[2]
    assert torch.equal(outputs[0], outputs[1])
    assert curves[0][-1].validation_figure > 0.85


def test_cpu_and_gpu_predict_alike() -> None:
    model = network().eval()
    held_out = examples(300, 2)
    on_cpu, on_gpu = (
        predict(model, held_out, TrainingParams(device=device)).softmax(1) for device in ("cpu", "cuda")
    )
    assert (on_cpu - on_gpu).abs().max() < 0.02
    # And it can be trained on.
    params = TrainingParams(epochs=1, device="cuda")
    fit(model, examples(100, 0), held_out, Classification(), params, 0, "textcnn")


def test_going_on_from_a_checkpoint_gives_the_weights_of_an_unbroken_run(tmp_path: Path) -> None:
    params = TrainingParams(
        recipe="adamw_one_cycle", learning_rate=1e-2, batch_size=64, epochs=6, patience=None, device="cuda",
        checkpoint_seconds=0.0,
    )  # fmt: skip

    class Break(Exception):
        pass

    def break_after_three(row: dict[str, float], _: bool) -> None:
        if row["epoch"] == 4:
            raise Break

    whole, broken = network(), network()
    data = examples(1000, 0), examples(300, 1), Classification()
    fit(whole, *data, params, 0, "textcnn")
    checkpoint = Checkpoint(tmp_path, "textcnn", "key")
    with pytest.raises(Break):
        fit(broken, *data, params, 0, "textcnn", checkpoint, on_epoch=break_after_three)
    assert not [thing for thing in gc.get_objects() if type(thing) is GraphedSteps]
    broken = network()
    fit(broken, *data, params, 0, "textcnn", checkpoint)
    for one, other in zip(whole.parameters(), broken.parameters(), strict=True):
        assert torch.equal(one, other)
