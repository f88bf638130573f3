"""Data-parallel training: each process has its share of the digits, all take the mean gradient.

python examples/data_parallel.py                      # two processes, joined by a pipe
mpiexec -n 4 python examples/data_parallel.py mpi     # needs mpi4py
Each takes a GPU of its own, if any; with CUDA_VISIBLE_DEVICES=0 they share the first.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def train(rank: int, size: int, allreduce: Callable[[Any], Any]) -> None:
    """Train on every `size`-th sample; `allreduce` adds up NumPy arrays of all processes."""
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", str(rank))  # read when CuPy is first used
    import gradlab as gl  # noqa: PLC0415

    def mean(grads: gl.tree.Tree) -> gl.tree.Tree:
        return gl.tree.map(lambda g: gl.asarray(allreduce(gl.to_numpy(g)) / size), grads)

    (x, t), test = gl.data.load_digits()
    share = slice(rank, x.shape[0] // size * size, size)  # as many steps for each
    network = gl.TwoLayerNetwork(64, 50, 10, weight_init_std="glorot", seed=0)
    optimizer = gl.optimizers.SGD(1.0)
    gl.training.fit(
        network, x[share, :], t[share], epochs=5, batch_size=50, optimizer=optimizer, reduce=mean
    )
    checksum = float(sum(gl.namespace(w).sum(w) for w in network.params.values()))
    accuracy = float(network.accuracy(*test))
    line = f"process {rank} of {size}: test accuracy {accuracy:.3f}, sum of weights {checksum:.12g}"
    sys.stdout.write(line + "\n")  # in one piece: the processes share their output


def train_beside(rank: int, pipe: Connection) -> None:
    """Train as one of two processes."""

    def allreduce(array: Any) -> Any:
        pipe.send(array)  # must fit into the pipe's buffer: 64 kB on Linux
        return array + pipe.recv()

    train(rank, 2, allreduce)


if __name__ == "__main__":
    if sys.argv[1:] == ["mpi"]:
        from mpi4py.MPI import COMM_WORLD

        train(COMM_WORLD.rank, COMM_WORLD.size, COMM_WORLD.allreduce)
    else:
        context = multiprocessing.get_context("spawn")  # never fork where CUDA may be in use
        here, there = context.Pipe()
        child = context.Process(target=train_beside, args=(1, there))
        child.start()
        there.close()  # so that the end of the child is seen here
        train_beside(0, here)
        child.join()
