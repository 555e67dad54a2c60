"""What tests have in common: brokers, topics with records in them, and a fresh name for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker

from distributedlog import Admin, Producer


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that all tests use which do no harm to it."""
    running = Broker(tmp_path_factory.mktemp("broker"))
    yield running
    running.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that the test may stop and kill. It has to be running in the end."""
    running = Broker(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def admin(broker: Broker) -> Iterator[Admin]:
    with Admin(bootstrap_servers=broker.address) as client:
        yield client


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for the test's topic and group that no other test has."""
    full = f"{request.module.__name__}-{request.node.name}"
    return "".join(letter if letter.isalnum() else "-" for letter in full)


@pytest.fixture
def topic(admin: Admin, name: str) -> str:
    """A topic with two partitions."""
    admin.create_topic(name, 2)
    return name


def fill(address: str, topic: str, count: int, partitions: int = 2) -> None:
    """Writes ``b"0"``, ``b"1"`` … in turns to the partitions."""
    with Producer(bootstrap_servers=address) as producer:
        for number in range(count):
            producer.send(topic, str(number).encode(), partition=number % partitions)
