"""What CSVLogger, RemoteMonitor and History keep, send and draw."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import numpy as np
import pytest

from thalweg import keras
from thalweg.keras import callbacks

X = np.ones((4, 2), "float32")


def fit(*given, **settings):
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model.fit(X, X[:, :1], verbose=0, callbacks=list(given), **settings)


# CSVLogger ----------------------------------------------------------------------------------------


def write(logger, *lines):
    logger.on_train_begin()
    for epoch, logs in enumerate(lines):
        logger.on_epoch_end(epoch, logs)
    logger.on_train_end()


def test_a_line_for_each_epoch(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(callbacks.CSVLogger(path), epochs=2).history
    first = f"0,{history['loss'][0]},{history['mae'][0]},NA,NA"
    assert path.read_text().splitlines()[:2] == ["epoch,loss,mae,val_loss,val_mae", first]


def test_validation_that_comes_late(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(
        callbacks.CSVLogger(path), epochs=2, validation_data=(X, X[:, :1]), validation_freq=2
    )
    lines = path.read_text().splitlines()
    assert lines[1].endswith(",NA,NA")
    assert lines[2].split(",")[3] == str(history.history["val_loss"][0])


def test_cells_of_all_kinds(tmp_path):
    path = tmp_path / "log.tsv"
    logs = {
        "f": np.float32(0.1), "i": 3, "s": np.array(2.5), "a": np.array([1, 2]), "t": "text",
        "n": float("nan"), "l": [1, 2],
    }  # fmt: skip
    write(callbacks.CSVLogger(path, separator="\t"), logs, {"i": 4, "new": 1})
    raw = path.read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") == 3
    head, first, second = raw.decode().splitlines()
    assert head.split("\t")[:8] == ["epoch", "a", "f", "i", "l", "n", "s", "t"]
    assert first.split("\t")[:8] == [
        "0", '"""[1, 2]"""', "0.10000000149011612", "3", '"""[1, 2]"""', "nan", "2.5", "text",
    ]  # fmt: skip
    assert second.split("\t")[:4] == ["1", "NA", "NA", "4"]


def test_a_file_that_is_there(tmp_path):
    path = tmp_path / "log.csv"
    write(callbacks.CSVLogger(path), {"loss": 1.0})
    # In the columns that the file has, in its order, whatever comes.
    logger = callbacks.CSVLogger(path, append=True)
    write(logger, {"mae": 5.0, "loss": 2.0, "val_loss": 3.0})
    write(logger, {"loss": 4.0})
    assert path.read_text().split() == ["epoch,loss,val_loss", "0,1.0,NA", "0,2.0,3.0", "0,4.0,NA"]
    write(callbacks.CSVLogger(path), {"other": 1})
    assert path.read_text().split() == ["epoch,other,val_other", "0,1,NA"]
    path.write_text("")
    write(callbacks.CSVLogger(path, append=True), {"loss": 1.0})
    assert path.read_text().split() == ["epoch,loss,val_loss", "0,1.0,NA"]


def test_lines_are_written_at_once(tmp_path):
    path = tmp_path / "log.csv"
    logger = callbacks.CSVLogger(path)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 1.0})
    assert path.read_text().split() == ["epoch,loss,val_loss", "0,1.0,NA"]
    logger.on_train_end()


# RemoteMonitor ------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """A web server of this machine that keeps what is posted to it."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, dict(self.headers), body))
            self.send_response(404 if "missing" in self.path else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    found = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    found.received = received
    found.root = f"http://127.0.0.1:{found.server_port}"
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture(params=["requests", "urllib"])
def library(request, monkeypatch):
    """Whether the library `requests` is there."""
    if request.param == "urllib":
        monkeypatch.setitem(sys.modules, "requests", None)
    else:
        pytest.importorskip("requests")


LOGS = {
    "loss": np.float32(0.5), "array": np.array([1, 2]), "one": np.array([[3]]), "n": 4,
    "tensor": keras.ops.ones(()),
}  # fmt: skip
SENT = {"epoch": 7, "loss": 0.5, "array": [1, 2], "one": 3, "n": 4, "tensor": 1.0}


@pytest.mark.usefixtures("library")
def test_a_form_and_json_are_posted(server):
    callbacks.RemoteMonitor(server.root, field="f", headers={"X-Run": "a b"}).on_epoch_end(7, LOGS)
    callbacks.RemoteMonitor(server.root, "/here", send_as_json=True).on_epoch_end(7, LOGS)
    (form_path, form_headers, form), (path, headers, text) = server.received
    assert (form_path, path) == ("/publish/epoch/end/", "/here")
    assert form_headers["X-Run"] == "a b"
    assert json.loads(parse_qs(form)["f"][0]) == SENT
    assert headers["Content-Type"] == "application/json"
    assert json.loads(text) == SENT


@pytest.mark.usefixtures("library")
def test_an_answer_of_any_kind_is_one(server):
    callbacks.RemoteMonitor(server.root, "/missing").on_epoch_end(0, {"loss": 1.0})
    assert len(server.received) == 1


@pytest.mark.usefixtures("library")
def test_no_server():
    with pytest.warns(UserWarning, match="Could not reach RemoteMonitor root server at http"):
        callbacks.RemoteMonitor("http://127.0.0.1:9").on_epoch_end(0, {"loss": 1.0})


def test_fit_posts_each_epoch(server):
    history = fit(callbacks.RemoteMonitor(server.root, send_as_json=True), epochs=2)
    sent = [json.loads(body) for _, _, body in server.received]
    assert [each["epoch"] for each in sent] == [0, 1]
    assert [each["loss"] for each in sent] == history.history["loss"]


# History ------------------------------------------------------------------------------------------


def test_history_of_two_runs():
    history = callbacks.History()
    fit(history, epochs=2, validation_data=(X, X[:, :1]))
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
    fit(history, epochs=3)
    assert history.epoch == [0, 1, 2]
    assert [len(values) for values in history.history.values()] == [5, 5, 2, 2]


def test_curves(tmp_path):
    history = fit(
        callbacks.LearningRateScheduler(lambda epoch: 0.1 / 10**epoch),
        epochs=4,
        validation_data=(X, X[:, :1]),
        validation_freq=2,
    )
    path = tmp_path / "curves.png"
    figure = history.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["loss", "mae", "learning_rate"]
    training, validation, best = panels[0].get_lines()
    assert training.get_xdata().tolist() == [1, 2, 3, 4]
    assert training.get_ydata().tolist() == history.history["loss"]
    assert validation.get_xdata().tolist() == [2, 4]
    assert validation.get_ydata().tolist() == history.history["val_loss"]
    assert best.get_label() == f"best: {history.history['val_loss'][1]:.4g} in epoch 4"
    assert panels[2].get_yscale() == "log"


def test_curves_of_odd_histories():
    history = callbacks.History()
    assert [panel.get_title(loc="left") for panel in history.plot().axes] == ["loss"]
    history.on_epoch_end(0, {"loss": float("nan"), "f1": np.array([0.5, 1.0]), "val_loss": np.nan})
    history.on_epoch_end(0, {"loss": 1.0, "f1": np.array([0.0, 1.0]), "val_loss": np.nan})
    panels = history.plot().axes
    assert panels[1].get_lines()[0].get_ydata().tolist() == [0.75, 0.5]
    assert panels[1].get_lines()[0].get_xdata().tolist() == [1, 2]
