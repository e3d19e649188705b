"""Train on several processes: each has the gradient of a part of the batch, and their mean goes around a tree.

One machine:   python examples/data_parallel.py --workers 4
A cluster:     mpirun -n 4 python examples/data_parallel.py      (with mpi4py installed)
"""

import argparse
import multiprocessing
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from train_digits import cross_entropy, load, make_layers

import autodiff as ad

BATCH, RATE = 256, 3e-3
# What MPI's launchers tell their processes.
LAUNCHED = "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"


class Tree:
    """Workers that add arrays up: each adds those of its children to its own, and hands the sum to its parent.

    Worker 0 is the root; the parent of any other has its number without the lowest bit that is set. A sum is there and
    back in 2 log2(n) messages one after the other, for n workers, and all get the same bits.
    """

    def __init__(self, rank, size, send, receive):
        self.rank, self.size, self.send, self.receive = rank, size, send, receive

    @staticmethod
    def parent(rank):
        return rank & (rank - 1)

    def children(self):
        return [child for child in range(self.rank + 1, self.size) if self.parent(child) == self.rank]

    def sum(self, array):
        for child in self.children():
            array = array + self.receive(child)
        if self.rank:
            self.send(self.parent(self.rank), array)
            array = self.receive(self.parent(self.rank))
        for child in reversed(self.children()):
            self.send(child, array)
        return array

    def mean(self, arrays, weight):
        """Return the mean of lists of arrays, as one message; the weights of all workers add up to 1."""
        total = self.sum(np.concatenate([weight * np.ravel(x) for x in arrays]))
        ends = np.cumsum([x.size for x in arrays])
        return [part.reshape(x.shape) for part, x in zip(np.split(total, ends[:-1]), arrays)]


def local_trees(size):
    """Return a tree for each of so many processes of this machine, joined by pipes."""
    ends = [{} for _ in range(size)]
    for rank in range(1, size):
        parent = Tree.parent(rank)
        ends[rank][parent], ends[parent][rank] = multiprocessing.Pipe()
    return [(rank, size, ends[rank]) for rank in range(size)]


def local_tree(rank, size, ends):
    return Tree(rank, size, lambda to, array: ends[to].send(array), lambda source: ends[source].recv())


def dataset(name):
    """Return training images and labels, and held-out ones: of handwritten digits, or many of a random network's."""
    if name == "digits":
        images, held_out, labels, held_out_labels = load()
    else:
        rng = np.random.default_rng(1)
        images = rng.normal(size=(40_000, 8, 8))
        teacher = np.maximum(images.reshape(-1, 64) @ rng.normal(size=(64, 32)), 0) @ rng.normal(size=(32, 10))
        labels = np.argmax(teacher - np.mean(teacher, axis=0), axis=1)
        images, held_out, labels, held_out_labels = images[:-1000], images[-1000:], labels[:-1000], labels[-1000:]
    return images.astype("float64"), labels, held_out.astype("float64"), held_out_labels


def forward(layers, images):
    x = np.reshape(images, (len(images), -1))
    *hidden, (last_weights, last_bias) = layers
    for weights, bias in hidden:
        x = np.maximum(x @ weights + bias, 0)
    return x @ last_weights + last_bias


def train(tree, name, steps):
    """Train as one of the workers; all of them have the same parameters at every step."""
    images, labels, held_out, held_out_labels = dataset(name)
    targets = np.eye(10)[labels]
    layers = [[ad.Tensor(x, dtype="float64") for x in layer] for layer in make_layers(np.random.default_rng(0))]
    optimizer = ad.optim.Adam(layers, ad.optim.Cosine(RATE, steps), clip_norm=1.0)
    graph, rng, losses, begin = ad.Graph(), np.random.default_rng(2), [], time.perf_counter()
    for _ in range(steps):
        # Every worker draws the same batch, and takes its part of it.
        mine = np.array_split(rng.choice(len(images), BATCH, replace=False), tree.size)[tree.rank]
        loss = cross_entropy(forward(layers, images[mine]), targets[mine])
        value, gradients = graph.value_and_gradient(loss, optimizer.parameters)
        value, *gradients = tree.mean([value, *gradients], len(mine) / BATCH)
        optimizer.step(gradients)
        losses.append(float(value))
    seconds = time.perf_counter() - begin
    accuracy = np.mean(np.argmax(np.asarray(forward(layers, held_out)), axis=1) == held_out_labels)
    return {"losses": losses, "accuracy": accuracy, "seconds": seconds, "layers": layers}


def work(rank, size, ends, name, steps):
    train(local_tree(rank, size, ends), name, steps)


def train_locally(size, name, steps):
    """Train on so many processes, of which this one is the first."""
    root, *others = local_trees(size)
    if others:
        # Processes share the processors: threads of matrix products of all would wait for one another.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // size)))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(*other, name, steps), daemon=True) for other in others]
    for process in processes:
        process.start()
    for _, _, ends in others:
        # Theirs alone: where a worker dies, the others hear of it.
        for end in ends.values():
            end.close()
    result = train(local_tree(*root), name, steps)
    for process in processes:
        process.join()
    return result


def draw(picture, result, size, name):
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    rate = BATCH * len(result["losses"]) / result["seconds"]
    workers = f"{size} worker{'s' if size > 1 else ''}, {rate:,.0f} images a second"
    axes.semilogy(np.arange(1, len(result["losses"]) + 1), result["losses"], linewidth=0.9, label=workers)
    axes.set(xlabel=f"step (of {BATCH} images)", ylabel="cross-entropy (nats)")
    axes.set_title(f"{name}: {result['accuracy']:.1%} of held-out images read correctly", loc="left")
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=150)
    plt.close(figure)


def main(argv=None):
    """Train, and save the network and a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, help="processes of this machine; mpirun -n has its own")
    parser.add_argument("--data", choices=["digits", "synthetic"], default="digits")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture and the network")
    args = parser.parse_args(argv)
    size = args.workers
    if any(name in os.environ for name in LAUNCHED):
        from mpi4py import MPI  # noqa: PLC0415  (only where MPI has started this process)

        comm = MPI.COMM_WORLD
        tree = Tree(comm.rank, comm.size, lambda to, x: comm.send(x, to), lambda source: comm.recv(source=source))
        size, result = comm.size, train(tree, args.data, args.steps)
        if comm.rank:
            return None
    else:
        result = train_locally(size, args.data, args.steps)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "data_parallel.png"
    ad.optim.save(args.output / "data_parallel.npz", result["layers"])
    draw(picture, result, size, args.data)
    print(f"{result['accuracy']:.1%} of held-out images, {result['seconds']:.1f} s, workers: {size}; saved {picture}")
    return result | {"picture": picture}


if __name__ == "__main__":
    main()
