"""Training steps recorded as CUDA graphs: the host launches one graph in place of a hundred kernels."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from convoy.training.batches import Batch


class GraphedSteps:
    """Calls `step(batch)`; from the second batch of a shape on, as a recorded graph.

    The step draws its batch from examples on the device by the indices `batch.items`: the host sends only
    these and the learning rate. The result, a loss or other figures, is overwritten by the next call.
    """

    def __init__(self, step: Callable[[Batch], Tensor]) -> None:
        self.step = step
        self.seen: set[tuple[int, ...]] = set()
        self.graphs: dict[tuple[int, ...], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()

    def __call__(self, batch: Batch) -> Tensor:
        if batch.shape not in self.graphs:
            if batch.shape not in self.seen:
                return self._eager(batch)
            self._record(batch)
        graph, items, result = self.graphs[batch.shape]
        items.copy_(batch.items)
        graph.replay()
        return result

    def _eager(self, batch: Batch) -> Tensor:
        """The first batch of a shape: an ordinary step, on a side stream as recording requires."""
        self.seen.add(batch.shape)
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream), warnings.catch_warnings():
            # Optimisers with `capturable` warn of every step outside a graph.
            warnings.filterwarnings("ignore", message=".*capturable=True")
            result = self.step(batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return result

    def _record(self, batch: Batch) -> None:
        items = batch.items.clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            result = self.step(batch._replace(items=items))
        self.graphs[batch.shape] = (graph, items, result)
