"""The one training loop: every network of every task is fitted here."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor, nn

from convoy.core.errors import ConvoyError
from convoy.core.training_params import TrainingParams
from convoy.training.averaging import AveragedWeights
from convoy.training.batches import Batch, Batches, Plan
from convoy.training.checkpoints import Checkpoint
from convoy.training.cuda_graphs import GraphedSteps
from convoy.training.curve import Epoch, Fitted
from convoy.training.devices import Device
from convoy.training.objectives import Objective
from convoy.training.progress import Progress
from convoy.training.recipes import Optimiser

OnBatch = Callable[[Batch], Tensor]
OnEpoch = Callable[[dict[str, float], bool], None]  # a row of curve.csv; whether read from a checkpoint


@contextlib.contextmanager
def seeded(seed: int, gpus: bool = False) -> Iterator[None]:
    """Seed torch's random generators with `seed` inside, and restore their states afterwards.

    Those of GPUs only where `gpus` is true: reading a GPU's generator initialises CUDA.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count() if gpus else 0)):
        (torch.manual_seed if gpus else torch.default_generator.manual_seed)(seed)
        yield


def fit(
    network: nn.Module, train: Batches, validation: Batches, objective: Objective, params: TrainingParams,
    seed: int, name: str, checkpoint: Checkpoint | None = None,
    on_epoch: OnEpoch = lambda _row, _resumed: None,
) -> Fitted:  # fmt: skip
    """Train `network` in place and return its learning curve.

    The network ends on the CPU with the weights of the best validation loss. `on_epoch` is called with each
    row of the learning curve as soon as it is known. Random numbers depend on (seed, epoch) alone, so a run
    that was killed and is resumed from its `checkpoint` ends with the same weights as an uninterrupted one.
    Raises ConvoyError at the first non-finite loss, naming the step and the examples in its batch.
    """
    with Device(params).active() as device:
        run = _Run(network, train.to(device.torch), validation.to(device.torch), params, device, objective)
        progress = Progress(f"{name} seed {seed}", run.epochs, objective.figure)
        run.resume(checkpoint)
        for row in run.curve:
            on_epoch(row.columns(objective.figure), True)
        saved = time.monotonic()
        try:
            while run.epoch < run.epochs and not run.patience_spent():
                began = time.monotonic()
                with seeded(_epoch_seed(seed, run.epoch), gpus=run.on_gpu):
                    row = run.one_epoch(seed, progress)
                progress.epoch(row, len(train) / (time.monotonic() - began), run.best_row.epoch)
                on_epoch(row.columns(objective.figure), False)
                if checkpoint is not None and time.monotonic() - saved >= params.checkpoint_seconds:
                    run.save(checkpoint)
                    saved = time.monotonic()
        finally:
            # The graphs and the run refer to each other; freed here, not by a collection during a recording.
            del run.take_step, run.measure
        network.load_state_dict(run.best)
        network.to("cpu")
    return Fitted(tuple(run.curve), run.best_row, objective.figure)


def predict(network: nn.Module, examples: Batches, params: TrainingParams) -> Tensor:
    """The outputs of `network` in evaluation mode, float32 on the CPU, in the order of the examples."""
    with Device(params).active() as device:
        # Outside of inference mode: weights that are moved within it cannot be trained afterwards.
        network.to(device.torch)
        with torch.inference_mode():
            examples = examples.to(device.torch)
            plan = examples.plan(params.batch_size, None)
            network.eval()
            outputs = _outputs(_forward(network, examples, device), plan).cpu()
        network.to("cpu")
        return outputs


def _forward(network: nn.Module, examples: Batches, device: Device) -> OnBatch:
    def forward(batch: Batch) -> Tensor:
        inputs, _ = examples.draw(batch, training=False)
        with device.autocast():
            return network(inputs).float()

    return forward


def _outputs(forward: OnBatch, plan: Plan) -> Tensor:
    """The outputs for all batches of the plan, in the order of the examples."""
    return _in_order([forward(batch) for batch in plan], plan)


def _in_order(batches: list[Tensor], plan: Plan) -> Tensor:
    order = torch.empty_like(plan.order)
    order[plan.order] = torch.arange(len(plan.order), device=plan.order.device)
    return torch.cat(batches)[order]


class _Run:
    """The state of one fit, which a checkpoint stores."""

    def __init__(
        self, network: nn.Module, train: Batches, validation: Batches, params: TrainingParams,
        device: Device, objective: Objective,
    ) -> None:  # fmt: skip
        self.network, self.train = network.to(device.torch), train
        self.params, self.device, self.objective = params, device, objective
        self.steps_per_epoch = len(train.plan(params.batch_size, np.random.default_rng(0)))
        self.epochs = params.epochs_of(self.steps_per_epoch)
        self.optimiser = Optimiser(network, params, self.steps_per_epoch)
        self.on_gpu = device.torch.type == "cuda"
        self.validation = validation.plan(params.batch_size, None)
        targets = [validation.draw(batch, training=False)[1] for batch in self.validation]
        self.targets = _in_order(targets, self.validation)
        self.forward = _forward(network, validation, device)
        self.take_step: OnBatch = GraphedSteps(self.step) if self.on_gpu else self.step
        self.measure: OnBatch = GraphedSteps(self.validate) if self.on_gpu else self.validate
        self.plans: dict[int, Plan] = {}
        self.curve: list[Epoch] = []
        self.best = {key: value.clone() for key, value in network.state_dict().items()}
        self.average = AveragedWeights(network, params.average_epochs * self.steps_per_epoch)

    @property
    def epoch(self) -> int:
        return len(self.curve)

    @property
    def best_row(self) -> Epoch:
        return min(self.curve, key=lambda row: row.validation_loss)

    def patience_spent(self) -> bool:
        patience = self.params.patience
        return patience is not None and self.epoch > 0 and self.epoch - self.best_row.epoch >= patience

    def step(self, batch: Batch) -> Tensor:
        """One update of the weights from one batch; returns the loss without waiting for the device."""
        inputs, targets = self.train.draw(batch, training=True)
        with self.device.autocast():
            outputs = self.network(inputs)
        loss = self.objective.loss(outputs, targets)
        loss.backward()
        self.optimiser.torch.step()
        self.optimiser.torch.zero_grad(set_to_none=True)
        return loss.detach()

    def plan(self, seed: int, epoch: int) -> Plan:
        """The batches of this 0-based epoch, drawn anew for each."""
        if epoch not in self.plans:
            random = np.random.default_rng([seed, epoch])
            self.plans = {epoch: self.train.plan(self.params.batch_size, random)}
        return self.plans[epoch]

    def one_epoch(self, seed: int, progress: Progress) -> Epoch:
        self.network.train()
        plan, first = self.plan(seed, self.epoch), self.epoch * self.steps_per_epoch
        losses = torch.zeros(len(plan), device=self.device.torch)
        # Made before the epoch: a copy to a GPU waits for all its queued work.
        sizes = torch.tensor(plan.sizes(), device=losses.device)
        for number, batch in enumerate(plan):
            rate = self.optimiser.at_step(first + number)
            losses[number] = self.take_step(batch)
            self.average.follow(first + number + 1)
            if not self.on_gpu:
                # Reading the loss makes the host wait for a GPU; there it is checked at the end of the epoch.
                self._finite(losses[number : number + 1], plan, number)
                progress.step(number + 1, len(plan))
        mean_loss = (losses * sizes).sum() / sizes.sum()
        self.average.swap()
        figures = self.measure(Batch(self.validation.order, ()))
        if self.on_gpu:
            # The whole epoch is queued: the next one is drawn meanwhile, and only then the host waits.
            self.plan(seed, self.epoch + 1)
            self._finite(losses, plan, 0)
        loss, figure = figures.tolist()
        if not math.isfinite(loss):
            raise ConvoyError(
                f"training: the validation loss is not finite after epoch {self.epoch + 1}; "
                "lower the learning rate or look at the validation examples"
            )
        self.curve.append(Epoch(self.epoch + 1, float(mean_loss), loss, figure, rate))
        if self.best_row is self.curve[-1]:
            state = self.network.state_dict()
            torch._foreach_copy_([self.best[name] for name in state], list(state.values()))
        self.average.swap()
        return self.curve[-1]

    @torch.no_grad()
    def validate(self, examples: Batch) -> Tensor:
        """Loss and figure on all validation examples, in the order of their plan."""
        self.network.eval()
        outputs = _outputs(self.forward, replace(self.validation, order=examples.items))
        return torch.stack(self.objective.validate(outputs, self.targets))

    def _finite(self, losses: Tensor, plan: Plan, first: int) -> None:
        bad = torch.nonzero(~torch.isfinite(losses))
        if len(bad):
            number = first + int(bad[0, 0])
            names = self.train.names(plan[number].items.tolist())
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            raise ConvoyError(
                f"training: the loss is not finite at step {self.epoch * self.steps_per_epoch + number} "
                f"(epoch {self.epoch + 1}); items {shown}; lower the learning rate or look at these items"
            )

    def save(self, checkpoint: Checkpoint) -> None:
        tensors = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in self.best.items()}
        tensors |= {f"average.{key}": value for key, value in self.average.tensors().items()}
        for number, state in self.optimiser.torch.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
        checkpoint.save(tensors, {"curve": [asdict(row) for row in self.curve]})

    def resume(self, checkpoint: Checkpoint | None) -> None:
        state = checkpoint.load() if checkpoint is not None else None
        if state is None:
            return
        tensors, facts = state
        self.curve = [Epoch(**row) for row in facts["curve"]]
        self.network.load_state_dict(_under(tensors, "network."))
        self.best = {key: value.to(self.device.torch) for key, value in _under(tensors, "best.").items()}
        self.average.load(_under(tensors, "average."))
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "optimiser.").items():
            number, slot = key.split(".")
            slots.setdefault(int(number), {})[slot] = value
        self.optimiser.load(slots)
        print(f"resuming after epoch {self.epoch} of an interrupted run", flush=True)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
