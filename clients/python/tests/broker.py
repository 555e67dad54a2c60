"""A real broker beside a test, which can be stopped, killed and started again on the same port and data."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

PATIENCE_S = 30.0


def program() -> str:
    """The broker's binary: ``TAKHIN_BIN``, or where cargo leaves it."""
    built = Path(__file__).parents[3] / "target" / "release" / "takhin"
    found = os.environ.get("TAKHIN_BIN", str(built))
    if not Path(found).exists():
        raise FileNotFoundError(f"{found} is not there: build it with `cargo build --release -p takhin`")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Broker:
    """Running from the start until :meth:`stop`."""

    def __init__(self, directory: Path, *options: str, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self._directory = directory
        self._options = options
        self._log = directory / "broker.log"
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [program(), "serve", "--listen", self.address, "--data-dir", str(self._directory / "data")]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--durability", "os", *self._options], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_ready():
            assert self._process.poll() is None, f"the broker ended:\n{self._log.read_text()}"
            assert time.monotonic() < deadline, f"the broker does not get ready:\n{self._log.read_text()}"
            time.sleep(0.01)

    def kill(self) -> None:
        """As a crash would end it."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """As an administrator would end it."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def restart(self, *options: str) -> None:
        """With other options."""
        self.stop()
        self._options = options
        self.start()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
