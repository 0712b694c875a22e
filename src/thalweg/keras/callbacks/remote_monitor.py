"""RemoteMonitor: the metrics of each epoch, sent to a web server."""

import json
from typing import Any

from thalweg.keras import door
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.logs import plain
from thalweg.keras.utils.messages import warn


class RemoteMonitor(Callback):
    """Posts the epoch and its metrics to `root + path`.

    They go as JSON within the form field `field`, or with `send_as_json` as the body itself. An
    address that cannot be reached is a warning, never the end of training.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ):
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        sent = {"epoch": epoch}
        for name, value in (logs or {}).items():
            value = plain(value)
            if hasattr(value, "tolist"):
                value = value.item() if value.size == 1 else value.tolist()
            sent[name] = value
        body = {"json": sent} if self.send_as_json else {"data": {self.field: json.dumps(sent)}}
        try:
            door.post(self.root + self.path, headers=self.headers, **body)
        except (OSError, door.http_error()):
            warn(f"Could not reach RemoteMonitor root server at {self.root}")
