"""An HTTP server that answers as a test says: for answers that a real broker gives only in trouble."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

TOPIC = {"name": "t", "partitions": 1, "offsets": [], "max_message_bytes": 1_048_576}


def refusal(status: int, code: str, details: Any, *, retryable: bool = False) -> tuple[int, Any]:
    """An error in the broker's form."""
    error = {"error": code, "code": code, "retryable": retryable, "details": details, "request_id": "r"}
    return status, error


class ScriptedBroker:
    """Knows one topic, ``t``. Other requests are answered as the script says.

    The script gets a request's body, and gives "ok" for a produce that succeeds, a status and a body, or None to cut
    the connection.
    """

    def __init__(
        self, script: Callable[[Any], Any], tls: ssl.SSLContext | None = None, topic: Mapping[str, Any] = TOPIC
    ) -> None:
        #: The bodies of all requests but those that ask for the topic.
        self.produced: list[Any] = []
        #: The headers of all requests.
        self.headers: list[dict[str, str]] = []
        self._connections: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer._connections.append(self.connection)

            def do_GET(self) -> None:
                outer.headers.append(dict(self.headers))
                self._answer(200, topic)

            def do_POST(self) -> None:
                outer.headers.append(dict(self.headers))
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                outer.produced.append(body)
                answer = script(body)
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                elif answer == "ok":
                    offsets = [{"partition": 0, "offset": at, "timestamp": 1} for at in range(len(body["records"]))]
                    self._answer(200, {"offsets": offsets})
                else:
                    self._answer(*answer)

            def _answer(self, status: int, body: Any) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that went away is what tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ScriptedBroker:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
