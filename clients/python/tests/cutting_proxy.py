"""A proxy that cuts connections at random bytes, on the way there and on the way back. The same seed, the same cuts."""

from __future__ import annotations

import contextlib
import random
import socket
import threading


class CuttingProxy:
    """Between a client and a broker on this machine."""

    def __init__(self, port: int, seed: int, mean_bytes: int) -> None:
        self.cuts = 0
        self._broker = port
        self._random = random.Random(seed)
        self._mean_bytes = mean_bytes
        self._cutting = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def behave(self) -> None:
        """Cuts nothing any more."""
        self._cutting = False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker))
            except OSError:
                client.close()
                continue
            there, back = self._random.expovariate(1), self._random.expovariate(1)
            pair = (client, broker)
            threading.Thread(target=self._carry, args=(client, broker, pair, there), daemon=True).start()
            threading.Thread(target=self._carry, args=(broker, client, pair, back), daemon=True).start()

    def _carry(
        self, source: socket.socket, target: socket.socket, pair: tuple[socket.socket, socket.socket], share: float
    ) -> None:
        left = int(share * self._mean_bytes)
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self._cutting and len(data) > left:
                    target.sendall(data[:left])
                    self.cuts += 1
                    break
                left -= len(data)
                target.sendall(data)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()
