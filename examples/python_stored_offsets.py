"""Each message has its effect exactly once: results and offsets are stored together, in SQLite.

    python examples/python_stored_offsets.py payments balances.db

Sums up amounts by key. The offset to go on from is written in the same transaction as the sums, so a crash at any
moment leaves both or neither. Where to go on is looked up there, and not at the broker. Ends when all is read.
"""

from __future__ import annotations

import argparse
import json
import sqlite3

from takhin import Consumer, RebalanceListener, TopicPartition

TABLES = """
CREATE TABLE IF NOT EXISTS balances (key TEXT PRIMARY KEY, amount REAL NOT NULL);
CREATE TABLE IF NOT EXISTS offsets (topic TEXT, part INTEGER, next INTEGER NOT NULL, PRIMARY KEY (topic, part));
"""

ADD = "INSERT INTO balances VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET amount = amount + excluded.amount"


class StoredOffsets(RebalanceListener):
    """Begins each partition where the database says."""

    def __init__(self, consumer: Consumer[bytes, bytes], database: sqlite3.Connection) -> None:
        self._consumer = consumer
        self._database = database

    def on_partitions_assigned(self, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            query = "SELECT next FROM offsets WHERE topic = ? AND part = ?"
            stored = self._database.execute(query, partition).fetchone()
            if stored is not None:
                self._consumer.seek(partition, stored[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic")
    parser.add_argument("database")
    parser.add_argument("--servers", default="localhost:8080")
    given = parser.parse_args()

    database = sqlite3.connect(given.database, timeout=30, isolation_level=None)
    database.executescript(TABLES)
    consumer = Consumer(
        bootstrap_servers=given.servers, group_id="stored-offsets", auto_offset_reset="earliest", auto_commit=False
    )
    with consumer:
        consumer.subscribe(given.topic, listener=StoredOffsets(consumer, database))
        while messages := consumer.poll(timeout_ms=1_000):
            database.execute("BEGIN IMMEDIATE")
            for message in messages:
                amount = json.loads(message.value or b"null")["amount"]
                database.execute(ADD, ((message.key or b"").decode(), amount))
            for partition, offset in messages.ends().items():
                database.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)", (*partition, offset))
            database.execute("COMMIT")
    for key, amount in database.execute("SELECT key, amount FROM balances ORDER BY key"):
        print(f"{key} {amount:.2f}")
    database.close()


if __name__ == "__main__":
    main()
