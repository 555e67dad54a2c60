"""How many records a second pass through each client, beside raw HTTP, on this machine and in this run.

    cargo build --release -p takhin -p takhin-bench && cargo build --release -p takhin-client --example throughput
    npm --prefix clients/js ci && pip install ./clients/python
    python bench/clients/run.py

All take turns, and each figure is the median of the rounds. Raw HTTP is one connection of the load tool: requests that
were made before, and answers that are not parsed. Whatever a client has less than that is what its own work costs.
"""

from __future__ import annotations

import argparse
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDS_PER_REQUEST = 1_000


class Run:
    def __init__(self, url: str, programs: Path, records: int, size: int, lines: Path) -> None:
        self.url = url
        self.programs = programs
        self.records = records
        self.size = size
        self.lines = lines
        self.made = 0

    def topic(self) -> str:
        self.made += 1
        name = f"run-{self.made}"
        self.takhin("topic", "create", name)
        return name

    def takhin(self, *words: str) -> None:
        command = [str(self.programs / "takhin"), *words, "--server", self.url]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def raw(self, what: str) -> float:
        words = ["--connections", "1", "--record-bytes", str(self.size), "--seconds", "3"]
        if what == "produce":
            words += ["--records-per-request", str(RECORDS_PER_REQUEST)]
        said = self.said(str(self.programs / "takhin-bench"), what, "--url", self.url.removeprefix("http://"), *words)
        found = re.search(r"([\d.]+) records/s", said.replace(",", "").replace("_", ""))
        if found is None:
            raise RuntimeError(f"no rate in {said}")
        return float(found[1])

    def library(self, what: str, *program: str) -> float:
        topic = self.topic()
        if what == "consume":
            self.takhin("produce", topic, str(self.lines))
        return float(self.said(*program, self.url, what, topic, str(self.records), str(self.size)))

    def command_line(self, what: str) -> float:
        topic = self.topic()
        if what == "consume":
            self.takhin("produce", topic, str(self.lines))
        began = time.perf_counter()
        if what == "produce":
            self.takhin("produce", topic, str(self.lines))
        else:
            self.takhin("consume", topic, "--exit-at-end")
        return self.records / (time.perf_counter() - began)

    @staticmethod
    def said(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def serve(programs: Path, directory: str) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [str(programs / "takhin"), "serve", "--listen", address, "--data-dir", directory, "--durability", "os"]
    server = subprocess.Popen([*command, "--log", "error"], stdout=subprocess.DEVNULL)
    while True:
        try:
            urllib.request.urlopen(f"http://{address}/api/health/ready").close()
            return server, f"http://{address}"
        except OSError:
            if server.poll() is not None:
                raise
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--bytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as directory:
        lines = Path(directory) / "lines"
        lines.write_text(("x" * given.bytes + "\n") * given.records)
        server, url = serve(given.programs, f"{directory}/data")
        try:
            run = Run(url, given.programs, given.records, given.bytes, lines)
            rust = str(given.programs / "examples" / "throughput")
            ways = {
                "raw HTTP": run.raw,
                "Rust": lambda what: run.library(what, rust),
                "command line": run.command_line,
                "JavaScript": lambda what: run.library(what, "node", str(here / "javascript.mjs")),
                "Python": lambda what: run.library(what, sys.executable, str(here / "python.py")),
            }
            for what in ("produce", "consume"):
                rounds = [{name: way(what) for name, way in ways.items()} for _ in range(given.rounds)]
                medians = {name: statistics.median(one[name] for one in rounds) for name in ways}
                for name, rate in medians.items():
                    ratio = rate / medians["raw HTTP"]
                    each = " ".join(f"{one[name]:,.0f}" for one in rounds)
                    print(f"{what:8} {name:13} {rate:12,.0f} records/s {ratio:6.2f}   ({each})", flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
