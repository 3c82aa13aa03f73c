"""The processes that train one model together, as `torchrun` starts them; usually a single one.

Each takes its share of every batch; gradients are averaged, so that all keep the same weights.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from dsaecodec.errors import ConfigError


@dataclass(frozen=True)
class Team:
    """This process and its peers.

    Attributes:
        rank: which one it is.
        size: how many there are.
        device: where it computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes files."""
        return self.rank == 0

    def share(self, batch: int, stage: str = "clips") -> slice:
        """Its part of a batch of a stage.

        Raises:
            ConfigError: the batch cannot be shared evenly.
        """
        if batch % self.size:
            raise ConfigError(
                f"{stage}.batch = {batch} cannot be shared by {self.size} processes",
                hint=f"--set {stage}.batch={-(-batch // self.size) * self.size}",
            )
        part = batch // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def lead(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the process that leads."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def agrees(self, said: str) -> bool:
        """Whether all processes say the same; waits for all."""
        if self.size == 1:
            return True
        digest = hashlib.sha256(said.encode()).digest()
        own = torch.tensor(list(digest), dtype=torch.int32, device=self.device)
        ends = torch.stack([own, -own])
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        return bool((ends[0] == -ends[1]).all())

    def wait(self) -> None:
        """Go on when all are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined_team(device: torch.device, threads: int | None = None) -> Iterator[Team]:
    """Join the processes that the environment names (RANK, WORLD_SIZE, LOCAL_RANK).

    NCCL joins GPUs, one for each process of a machine; Gloo joins CPUs.

    Raises:
        ConfigError: there are more processes than GPUs.

    Args:
        device: where to compute; of several GPUs each process takes its own.
        threads: CPU threads of this process while it is in the team; None leaves them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with _joined(device) as team:
            yield team
    finally:
        torch.set_num_threads(before)


@contextmanager
def _joined(device: torch.device) -> Iterator[Team]:
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(0, 1, device)
        return
    if device.type == "cuda":
        number, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if number >= count:
            raise ConfigError(
                f"process {number + 1} of this machine has no GPU: there are {count}",
                hint=f"torchrun --nproc-per-node {count}, or --device cpu",
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    # One may encode or judge for long while the others wait.
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(hours=6))
    try:
        yield Team(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
