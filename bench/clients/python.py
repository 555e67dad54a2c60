"""How many records a second one producer sends, or one consumer polls: URL produce|consume TOPIC RECORDS BYTES"""

from __future__ import annotations

import sys
import time

from takhin import Consumer, Producer, TopicPartition

url, what, topic, count, size = sys.argv[1:]
records = int(count)
began = time.perf_counter()

if what == "produce":
    value = b"x" * int(size)
    with Producer(bootstrap_servers=url) as producer:
        for _ in range(records):
            last = producer.send(topic, value)
    last.result()
else:
    options = {"auto_offset_reset": "earliest", "max_poll_records": 5_000, "fetch_max_bytes": 4 << 20}
    with Consumer(bootstrap_servers=url, **options) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        left = records
        while left > 0:
            left -= len(consumer.poll())

print(round(records / (time.perf_counter() - began)))
