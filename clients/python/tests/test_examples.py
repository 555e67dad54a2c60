"""The examples do what they say."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from broker import Broker

from distributedlog import Admin, Consumer, Producer

EXAMPLES = Path(__file__).parents[3] / "examples"


def run(name: str, broker: Broker, *arguments: str) -> list[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments, "--servers", broker.address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.splitlines()


def test_the_worker_sets_aside_what_fails_and_stops_when_told(broker: Broker, name: str) -> None:
    command = [sys.executable, str(EXAMPLES / "python_worker.py"), name, "--servers", broker.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        with Admin(bootstrap_servers=broker.address) as admin, Producer(bootstrap_servers=broker.address) as producer:
            while f"{name}.failed" not in admin.topics():
                assert worker.poll() is None
            producer.send(name, b'{"amount": 9.5}', partition=0)
            producer.send(name, b"{", partition=0).result(10)
            assert worker.stdout.readline() == f"{name}/0 0: 9.50\n"
            with Consumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
                consumer.subscribe(f"{name}.failed")
                message = next(consumer)
            assert (message.value, message.header("offset")) == (b"{", b"1")
            assert (message.header("reason") or b"").startswith(b"JSONDecodeError")
            worker.send_signal(signal.SIGTERM)
            assert worker.stdout.readline() == "stopped\n"
            assert worker.wait() == 0
            held = admin.group("python-worker").partitions
            assert [of.committed for of in held if of.partition == (name, 0)] == [2]


def test_stored_offsets_count_each_payment_once(broker: Broker, admin: Admin, name: str, tmp_path: Path) -> None:
    admin.create_topic(name, 3)
    database = str(tmp_path / "balances.db")

    def pay(count: int) -> None:
        with Producer(bootstrap_servers=broker.address) as producer:
            for number in range(count):
                producer.send(name, json.dumps({"amount": number}).encode(), f"account {number % 3}".encode())

    pay(30)
    expected = ["account 0 135.00", "account 1 145.00", "account 2 155.00"]
    assert run("python_stored_offsets.py", broker, name, database) == expected
    assert run("python_stored_offsets.py", broker, name, database) == expected
    pay(3)
    assert run("python_stored_offsets.py", broker, name, database)[2] == "account 2 157.00"


def test_the_work_queue_does_each_job_once(broker: Broker) -> None:
    said = run("python_work_queue.py", broker, "--workers", "3", "--jobs", "200")
    assert said[0] == "200 jobs done, 0 of them twice"
    assert sum(int(line.split(":")[1]) for line in said[1:]) == 200


def test_fan_out_gives_everything_to_everyone(broker: Broker) -> None:
    assert run("python_fan_out.py", broker, "--subscribers", "2", "--messages", "300") == [
        "listener: 300",
        "subscriber 0: 300",
        "subscriber 1: 300",
    ]


def test_the_first_lines_of_the_manual_work(own_broker: Broker) -> None:
    own_broker.restart("--auto-create-topics")
    manual = Path(__file__).parents[1] / "README.md"
    lines = manual.read_text().split("```python\n")[1].split("```")[0]
    command = [sys.executable, "-u", "-c", lines.replace("localhost:8080", own_broker.address)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as reading:
        assert reading.stdout is not None
        assert reading.stdout.readline() == """orders 0 0 b'order-1' b'{"amount": 9.5}'\n"""
        reading.terminate()
