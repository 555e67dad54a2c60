"""What is sent along, what is tried again, and what is not."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any

import pytest
from scripted_broker import ScriptedBroker, refusal

from distributedlog import Admin, ClientConfig
from distributedlog.errors import (
    AuthenticationError,
    AuthorizationError,
    InternalServerError,
    InvalidAnswerError,
    InvalidRequestError,
    OutcomeUnknownError,
    OverloadedError,
    ServerError,
    from_answer,
)
from distributedlog.transport.calls import Backoff, Calls
from distributedlog.transport.lane import ConnectionLostError


def calls(broker: ScriptedBroker, **options: Any) -> Calls:
    return Calls(ClientConfig(bootstrap_servers=broker.address, retry_backoff_ms=1, **options))


def test_an_api_key_goes_along_with_each_request() -> None:
    with ScriptedBroker(lambda _: (200, {})) as broker:
        with Admin(bootstrap_servers=broker.address, api_key="k1") as admin:
            admin.topic("t")
        assert broker.headers[0]["Authorization"] == "Bearer k1"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with ScriptedBroker(lambda _: (200, {})) as broker, Admin(bootstrap_servers=broker.address) as admin:
        assert admin.topic("t").partitions == 1


def test_a_proxy_that_is_given_is_used() -> None:
    with ScriptedBroker(lambda _: (200, {})) as proxy:
        admin = Admin(bootstrap_servers="nowhere.invalid:80", proxy_url=f"http://{proxy.address}")
        assert admin.topic("t").partitions == 1
        admin.close()


def test_a_refusal_that_may_be_repeated_is() -> None:
    answers: list[Any] = [None, refusal(503, "shutting_down", {}, retryable=True), (200, {"n": 1})]
    with ScriptedBroker(lambda _: answers.pop(0)) as broker:
        client = calls(broker)
        assert (client.call("POST", "/x"), client.retries) == ({"n": 1}, 2)


def test_what_may_not_be_repeated_is_not() -> None:
    with ScriptedBroker(lambda _: None) as broker:
        with pytest.raises(OutcomeUnknownError, match="may have been applied"):
            calls(broker).call("POST", "/x", repeatable=False)
        assert len(broker.produced) == 1
    unknown = refusal(503, "storage_unavailable", {"applied": "unknown"})
    with ScriptedBroker(lambda _: unknown) as broker:
        with pytest.raises(ServerError, match="storage_unavailable"):
            calls(broker).call("POST", "/x", repeatable=False)
        assert len(broker.produced) == 1


def test_a_gateway_that_does_not_reach_the_broker_is_tried_again() -> None:
    answers: list[Any] = [(502, b"<html>"), (504, b""), (200, {})]
    with ScriptedBroker(lambda _: answers.pop(0)) as broker:
        assert calls(broker).call("POST", "/x") == {}
    with ScriptedBroker(lambda _: (502, b"<html>")) as broker, pytest.raises(InvalidAnswerError, match="no proxy"):
        calls(broker).call("POST", "/x", repeatable=False)


def test_it_gives_up_in_time() -> None:
    later = refusal(503, "not_ready", {}, retryable=True)
    with ScriptedBroker(lambda _: later) as broker, pytest.raises(OverloadedError):
        calls(broker, api_timeout_ms=200).call("POST", "/x")


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with ScriptedBroker(lambda _: (200, b"hello")) as broker, pytest.raises(InvalidAnswerError, match="no JSON"):
        calls(broker).call("POST", "/x")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "no_such_code", AuthenticationError),
        (403, "no_such_code", AuthorizationError),
        (422, "out_of_range", InvalidRequestError),
        (500, "internal", InternalServerError),
        (599, "odd", ServerError),
    ],
)
def test_errors_by_code_and_status(status: int, code: str, kind: type[ServerError]) -> None:
    error = from_answer(status, refusal(status, code, {"a": 1}, retryable=True)[1], 2.0, "GET /")
    assert type(error) is kind
    assert (error.code, error.status, error.retryable, error.request_id) == (code, status, True, "r")
    assert (error.details, error.retry_after_s) == ({"a": 1}, 2.0)
    assert f"[{code}, HTTP {status}, request r]" in str(error)


def test_waits_double_up_to_a_limit() -> None:
    backoff = Backoff(ClientConfig(retry_backoff_ms=100, retry_backoff_max_ms=1_000))
    waits = [backoff.next_s() for _ in range(6)]
    for wait_s, full_s in zip(waits, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]):
        assert full_s / 2 <= wait_s <= full_s
    assert backoff.next_s(5.0) == 5.0
    assert backoff.next_s(500.0) == 10.0


@pytest.mark.parametrize("status", [b"200 OK", b"409 Conflict"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_an_answer_that_breaks_off_anywhere_is_no_answer(status: bytes, framing: str) -> None:
    """At each byte: also where what is left of the headers reads like whole ones."""
    body = json.dumps({"code": "x", "error": "y", "details": {}}).encode()
    if framing == "length":
        headers = b"content-type: application/json\r\ncontent-length: %d" % len(body)
        whole = b"HTTP/1.1 %s\r\n%s\r\n\r\n%s" % (status, headers, body)
    else:
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        whole = b"HTTP/1.1 %s\r\ntransfer-encoding: chunked\r\n\r\n%s" % (status, chunks)
    # From the last chunk's "0" on nothing is missing.
    cuts = range(len(whole) - (4 if framing == "chunks" else 0))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for cut in [*cuts, len(whole)]:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(whole[:cut])

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        client = Calls(ClientConfig(bootstrap_servers=f"127.0.0.1:{listener.getsockname()[1]}"))
        for _ in cuts:
            with pytest.raises(ConnectionLostError) as lost:
                client.once("POST", "/x", b"{}")
            assert lost.value.sent
        with contextlib.nullcontext() if status == b"200 OK" else pytest.raises(ServerError, match="y"):
            client.once("POST", "/x", b"{}")
        serving.join()
        client.close()
