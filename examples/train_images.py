"""The main job: train a convolutional network on images, watch it, keep what came of it.

    make demo        or        python examples/train_images.py --epochs 5 --out outputs

Uses the network, the step and the data of `fashion.py`, shows progress while it trains, reports the
test accuracy and writes into the output folder:

    model.npz        the parameters, by name
    curves.png       loss and accuracy over the epochs (with matplotlib installed)
    step.html        the training step: its graph, its stages as text, what it costs
    network.svg      the graph of the network as a picture
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import fashion
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import thalweg as tw
from thalweg.tools import see

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
except ImportError:
    pyplot = None


def train(console, epochs, limit, batch, rate):
    """Train with a live display; returns the parameters and one row of figures for each epoch."""
    x_train, y_train, x_test, y_test = fashion.load_images(limit)
    console.print(f"{len(x_train)} training and {len(x_test)} test images, 28 x 28 pixels")
    params = fashion.init(tw.random.key(0))
    momentum = tw.map_leaves(tw.zeros_like, params)
    steps = len(x_train) // batch
    history = []
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    for epoch in range(epochs):
        losses = []
        start = time.perf_counter()
        quiet = not console.is_terminal
        with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
            label = f"{epoch + 1}/{epochs}"
            task = progress.add_task("", total=steps, epoch=label, loss=float("nan"))
            for x, y in fashion.batches(x_train, y_train, batch, seed=epoch):
                params, momentum, value = fashion.step(params, momentum, x, y, rate)
                losses.append(float(value))
                progress.update(task, advance=1, loss=np.mean(losses[-20:]))
        seconds = time.perf_counter() - start
        shown = min(len(x_train), len(x_test))
        row = {
            "loss": float(np.mean(losses)),
            "train": fashion.accuracy(params, x_train[:shown], y_train[:shown]),
            "test": fashion.accuracy(params, x_test, y_test),
        }
        history.append(row)
        console.print(
            f"epoch {epoch + 1}/{epochs}  loss {row['loss']:.3f}  training accuracy "
            f"{row['train']:.3f}  test accuracy {row['test']:.3f}  {seconds:.1f} s"
        )
    return params, history


def write_whole(path, write):
    """Write a file under a temporary name, then rename it: it is never seen half written."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    os.close(handle)
    try:
        write(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def save(folder, params, history):
    """Everything that the run leaves behind; returns the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{layer}.{name}": tensor.numpy()
        for layer, pair in params.items()
        for name, tensor in pair.items()
    }
    write_whole(folder / "model.npz", lambda path: np.savez(path, **arrays))
    see.page(fashion.step.stages, "training step", folder / "step.html")
    network = tw.function(fashion.predict).trace(params, tw.zeros((64, 28, 28, 1)))
    picture = see.graph_svg(network)
    write_whole(folder / "network.svg", lambda path: Path(path).write_text(picture))
    names = ["model.npz", "step.html", "network.svg"]
    if pyplot is not None:
        write_whole(folder / "curves.png", lambda path: draw_curves(path, history))
        names.append("curves.png")
    return names


def draw_curves(path, history):
    """Loss and accuracy over the epochs."""
    epochs = range(1, len(history) + 1)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(epochs, [row["loss"] for row in history], "o-", color="tab:blue")
    left.set(title="training loss", xlabel="epoch", ylim=(0, None))
    right.plot(epochs, [row["train"] for row in history], "o-", label="training")
    right.plot(epochs, [row["test"] for row in history], "o-", label="test")
    right.set(title="accuracy", xlabel="epoch")
    right.legend()
    for axes in (left, right):
        axes.set_xticks(list(epochs))
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.03)
    parser.add_argument("--limit", type=int, default=None, help="use so many images only")
    parser.add_argument("--backend", choices=("native", "reference"), default="native")
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args()
    tw.set_options(backend=options.backend)
    console = Console()
    try:
        params, history = train(console, options.epochs, options.limit, options.batch, options.rate)
    except KeyboardInterrupt:
        console.print("stopped; nothing was written")
        raise SystemExit(130) from None
    names = save(options.out, params, history)
    console.print(f"test accuracy {history[-1]['test']:.3f}")
    for name in names:
        console.print(f"  {options.out / name}")


if __name__ == "__main__":
    main()
