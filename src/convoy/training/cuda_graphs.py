"""Training steps recorded once as CUDA graphs: the host launches one graph, not a hundred kernels."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


class GraphedSteps:
    """Calls `step(items, width)`; from the second batch of a shape on, as a recorded graph.

    The step draws its batch from examples on the device by the indices `items`, so that these few bytes and
    the learning rate are all that the host hands over. Its result, a loss or other figures, is overwritten
    by the next call.
    """

    def __init__(self, step: Callable[[Tensor, int], Tensor]) -> None:
        self.step = step
        self.seen: set[tuple[int, int]] = set()
        self.graphs: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()

    def __call__(self, items: Tensor, width: int) -> Tensor:
        shape = (len(items), width)
        if shape not in self.graphs:
            if shape not in self.seen:
                return self._eager(items, width, shape)
            self._record(items, width, shape)
        graph, inputs, loss = self.graphs[shape]
        inputs.copy_(items)
        graph.replay()
        return loss

    def _eager(self, items: Tensor, width: int, shape: tuple[int, int]) -> Tensor:
        """The first batch of a shape: a real step, on a side stream as recording wants it."""
        self.seen.add(shape)
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream), warnings.catch_warnings():
            # Optimisers that can be recorded warn of every step that is not.
            warnings.filterwarnings("ignore", message=".*capturable=True")
            loss = self.step(items, width)
        torch.cuda.current_stream().wait_stream(self.stream)
        return loss

    def _record(self, items: Tensor, width: int, shape: tuple[int, int]) -> None:
        inputs = items.clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            loss = self.step(inputs, width)
        self.graphs[shape] = (graph, inputs, loss)
