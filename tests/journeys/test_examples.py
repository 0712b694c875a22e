"""The examples do what they say, on less data where they train."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Imports an example by its name; the data folder of the machine is not looked at."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delenv("THALWEG_DATA", raising=False)

    def load(name):
        specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module

    return load


@pytest.mark.slow
def test_fashion_learns(example, capsys):
    module = example("fashion")
    assert module.main(epochs=2, limit=2000) > 0.70
    assert "test accuracy 0." in capsys.readouterr().out
    assert module.step.why == ["the first call"]


def test_the_sample_is_the_real_thing(example):
    x_train, y_train, x_test, y_test = example("fashion").load_images()
    assert (x_train.shape, x_test.shape) == ((6000, 28, 28, 1), (1000, 28, 28, 1))
    assert np.bincount(y_train).tolist() == [600] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert abs(x_train.mean() - 0.286) < 0.005 and abs(x_train.std() - 0.353) < 0.005


def test_newton_finds_the_minimum(example, capsys):
    steps, error = example("minimum").main()
    assert steps < 40 and error < 1e-9


def test_the_pendulum_gives_its_constants_away(example, capsys):
    assert np.all(example("pendulum").main() < 0.01)


@pytest.mark.slow
def test_the_demo_leaves_its_files(tmp_path):
    command = [sys.executable, str(EXAMPLES / "train_images.py"), "--epochs", "1"]
    command += ["--limit", "640", "--out", str(tmp_path / "new" / "folder")]
    environment = {k: v for k, v in os.environ.items() if k != "THALWEG_DATA"}
    source = str(EXAMPLES.parent / "src")
    environment["PYTHONPATH"] = os.pathsep.join([source, environment.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    folder = tmp_path / "new" / "folder"
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.npz", "curves.png", "step.html", "network.svg"}
    arrays = np.load(folder / "model.npz")
    assert arrays["conv1.w"].shape == (3, 3, 1, 16)
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "</html>" in (folder / "step.html").read_text()
    assert "</svg>" in (folder / "network.svg").read_text()
