"""Fan-out with asyncio: every subscriber gets every message, and each goes at its own pace.

    python examples/python_fan_out.py --subscribers 3 --messages 500

Two subscribers in different groups do not share, each gets all. A group remembers how far it has come, so a subscriber
that was away catches up; one without a group only listens, from now on. Ends when all have seen everything.
"""

from __future__ import annotations

import argparse
import asyncio
import uuid

from takhin import Admin, AsyncConsumer, AsyncProducer


async def subscribe(name: str, servers: str, topic: str, count: int) -> int:
    """Reads all messages, in two goes: closing the consumer in between loses nothing."""
    seen = 0
    for until in (count // 2, count):
        async with AsyncConsumer(bootstrap_servers=servers, group_id=name, auto_offset_reset="earliest") as consumer:
            await consumer.subscribe(topic)
            while seen < until:
                async for _ in consumer:
                    seen += 1
                    if seen == until:
                        break
    return seen


async def listen(servers: str, topic: str, ready: asyncio.Event, count: int) -> int:
    """Only listens; what was written before does not matter to it."""
    seen = 0
    async with AsyncConsumer(bootstrap_servers=servers) as consumer:
        await consumer.subscribe(topic)
        ready.set()
        while seen < count:
            seen += len(await consumer.poll())
    return seen


async def run(servers: str, subscribers: int, count: int) -> None:
    topic = f"news-{uuid.uuid4()}"
    with Admin(bootstrap_servers=servers) as admin:
        admin.create_topic(topic, partitions=2)
    ready = asyncio.Event()
    listening = asyncio.create_task(listen(servers, topic, ready, count))
    names = [f"{topic}-{number}" for number in range(subscribers)]
    reading = [asyncio.create_task(subscribe(name, servers, topic, count)) for name in names]
    await ready.wait()
    async with AsyncProducer(bootstrap_servers=servers) as producer:
        for number in range(count):
            await producer.send(topic, f"message {number}".encode())
    print(f"listener: {await listening}")
    for name, seen in zip(names, await asyncio.gather(*reading)):
        print(f"subscriber {name[-1]}: {seen}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", default="localhost:8080")
    parser.add_argument("--subscribers", type=int, default=3)
    parser.add_argument("--messages", type=int, default=500)
    given = parser.parse_args()
    asyncio.run(run(given.servers, given.subscribers, given.messages))


if __name__ == "__main__":
    main()
