from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from distributedlog import Admin, ClientConfig, Consumer, ConsumerConfig, Producer, ProducerConfig
from distributedlog.config import ClientOptions
from distributedlog.consumer.config import ConsumerOptions
from distributedlog.errors import ConfigurationError, UnknownOptionError
from distributedlog.producer.config import ProducerOptions
from distributedlog.transport.addresses import parse_addresses

FUNCTIONS = {"key_deserializer", "value_deserializer", "key_serializer", "value_serializer"}


@pytest.mark.parametrize(
    ("options", "config"),
    [(ClientOptions, ClientConfig), (ConsumerOptions, ConsumerConfig), (ProducerOptions, ProducerConfig)],
)
def test_keywords_and_configurations_have_the_same_options(options: Any, config: Any) -> None:
    assert (
        set(options.__annotations__) | set(ClientOptions.__annotations__)
        == {field.name for field in fields(config)} - FUNCTIONS
    )


def test_an_unknown_keyword_is_named_with_the_one_that_was_meant() -> None:
    make: Any = Consumer
    make_producer: Any = Producer
    make_admin: Any = Admin
    with pytest.raises(UnknownOptionError, match=r"no option enable_auto_commit; did you mean auto_commit\?"):
        make(enable_auto_commit=True)
    with pytest.raises(TypeError, match=r"no option zzz\. There are: .*batch_size"):
        make_producer(zzz=1)
    with pytest.raises(UnknownOptionError):
        make_admin(group_id="g")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("auto_offset_reset", "newest", "has to be 'earliest', 'latest', 'none'"),
        ("auto_offset_reset", "by_duration:P", "by_duration"),
        ("auto_commit", "yes", "True or False"),
        ("max_poll_records", 0, "from 1 to 10000"),
        ("max_poll_records", True, "from 1 to 10000"),
        ("max_poll_records", 2.5, "from 1 to 10000"),
        ("fetch_min_bytes", 1 << 40, "from 0 to 4194304"),
        ("session_timeout_ms", 10, "from 1000 to 1800000"),
        ("group_id", "", "a text or None"),
        ("bootstrap_servers", "", "no address"),
        ("bootstrap_servers", [], "no address"),
        ("bootstrap_servers", "host:port", "port"),
        ("bootstrap_servers", "ftp://host", "http"),
        ("api_key", "a\nb", "header"),
        ("value_deserializer", 3, "function"),
        ("group_instance_id", "a", "needs group_id"),
    ],
)
def test_a_wrong_value_is_refused_with_its_bounds(option: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ConsumerConfig(**{option: value})


def test_config_and_keywords_exclude_each_other() -> None:
    make: Any = Consumer
    with pytest.raises(ConfigurationError, match="not both"):
        make(config=ConsumerConfig(), group_id="g")
    with pytest.raises(ConfigurationError, match="has to be a ConsumerConfig"):
        make(config=ClientConfig())


def test_an_api_key_is_not_shown() -> None:
    assert "secret" not in repr(ConsumerConfig(api_key="secret"))


@pytest.mark.parametrize(
    ("given", "tls", "addresses"),
    [
        ("localhost:9092", False, ["http://localhost:9092"]),
        (["a:1", "b:2"], False, ["http://a:1", "http://b:2"]),
        ("a, b:2", True, ["https://a:8080", "https://b:2"]),
        ("https://example.org/takhin/", False, ["https://example.org:443/takhin"]),
        ("[::1]:9092", False, ["http://[::1]:9092"]),
    ],
)
def test_addresses(given: Any, tls: bool, addresses: list[str]) -> None:
    assert [str(address) for address in parse_addresses(given, tls=tls)] == addresses


@pytest.mark.skipif(sys.version_info < (3, 10), reason="needs unions of types written with |")
def test_type_hints_can_be_looked_up() -> None:
    assert get_type_hints(Consumer.poll)["return"] is not None
