"""A work queue: jobs go in at one end, and workers that share a group take them out at the other.

    python examples/python_work_queue.py --workers 3 --jobs 200

Jobs have no key, so they spread over the partitions; there are as many partitions as there may be workers. Each worker
is slow on purpose; its session is kept in the background. Ends when all jobs are done.
"""

from __future__ import annotations

import argparse
import threading
import time
import uuid
from collections import Counter

from takhin import Admin, Consumer, Producer
from takhin.serialization import from_json, to_json


def work(number: int, servers: str, queue: str, done: Counter[int], share: Counter[int], jobs: int) -> None:
    consumer = Consumer(
        bootstrap_servers=servers,
        group_id=f"{queue}-workers",
        auto_offset_reset="earliest",
        # Few at a time, so that a worker that ends early leaves much to the others.
        max_poll_records=5,
        value_deserializer=from_json,
    )
    with consumer:
        consumer.subscribe(queue)
        while len(done) < jobs:
            for message in consumer.poll(timeout_ms=200):
                job = message.value or {}
                time.sleep(job["seconds"])
                done[job["id"]] += 1
                share[number] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", default="localhost:8080")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=200)
    given = parser.parse_args()

    queue = f"queue-{uuid.uuid4()}"
    with Admin(bootstrap_servers=given.servers) as admin:
        admin.create_topic(queue, partitions=2 * given.workers)

    done: Counter[int] = Counter()
    share: Counter[int] = Counter()
    workers = [
        threading.Thread(target=work, args=(number, given.servers, queue, done, share, given.jobs))
        for number in range(given.workers)
    ]
    for worker in workers:
        worker.start()
    # Small batches, so that jobs spread evenly.
    with Producer(bootstrap_servers=given.servers, value_serializer=to_json, batch_size=200) as producer:
        for job in range(given.jobs):
            producer.send(queue, {"id": job, "seconds": 0.002})
    for worker in workers:
        worker.join()
    print(f"{len(done)} jobs done, {sum(done.values()) - len(done)} of them twice")
    for number, count in sorted(share.items()):
        print(f"worker {number}: {count}")


if __name__ == "__main__":
    main()
