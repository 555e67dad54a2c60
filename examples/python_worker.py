"""A worker that runs until it is told to stop, and sets aside what it can't process.

    python examples/python_worker.py orders --group billing

It handles each message, sends those that fail to the topic `<topic>.failed` with the reason in a header, and commits
when a batch is done. SIGTERM and Ctrl-C end it after the message in hand. Run it several times to share the work.
Killed at any moment it loses nothing: what was not committed is handled again, by it or by another.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading

from takhin import Admin, Consumer, Message, Producer, WakeupError
from takhin.errors import TopicExistsError


def handle(message: Message[bytes, bytes]) -> None:
    """What the worker is there for. Here: says what an order costs."""
    order = json.loads(message.value or b"null")
    print(f"{message.topic}/{message.partition} {message.offset}: {order['amount']:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic")
    parser.add_argument("--group", default="python-worker")
    parser.add_argument("--servers", default="localhost:8080")
    given = parser.parse_args()

    failed_topic = f"{given.topic}.failed"
    with Admin(bootstrap_servers=given.servers) as admin:
        for topic in (given.topic, failed_topic):
            try:
                admin.create_topic(topic, partitions=4)
            except TopicExistsError:
                pass

    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        consumer.wakeup()

    consumer = Consumer(
        bootstrap_servers=given.servers,
        group_id=given.group,
        auto_offset_reset="earliest",
        auto_commit=False,
        max_poll_records=100,
    )
    with consumer, Producer(bootstrap_servers=given.servers) as producer:
        consumer.subscribe(given.topic)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        while not stopping.is_set():
            try:
                messages = consumer.poll(timeout_ms=None)
            except WakeupError:
                break
            for message in messages:
                try:
                    handle(message)
                except (ValueError, KeyError, TypeError) as error:
                    reason = {"reason": f"{type(error).__name__}: {error}", "offset": str(message.offset)}
                    producer.send(failed_topic, message.value, message.key, headers=reason)
                if stopping.is_set():
                    # Within the loop a commit covers what the loop was given, the message in hand included.
                    producer.flush()
                    consumer.commit()
                    break
            else:
                # What was set aside is safe before its offset is committed.
                producer.flush()
                consumer.commit()
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
