"""Brokers that the suite starts itself, on loopback."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
START_S = 60
SMALL = ("memory.per.core=128MiB", "journal.file.bytes=8MiB", "journal.files=2",
         "group.initial.rebalance.delay.ms=0")


class Broker:
    """One that may be started again on what it has stored, or on what it had stored a while ago."""

    def __init__(self, name, command, port, data, log):
        self.name, self.command, self.data, self.log = name, command, pathlib.Path(data), log
        self.address = ("127.0.0.1", port)
        self.bootstrap = f"127.0.0.1:{port}"
        self.process = None

    @staticmethod
    def reference(data, log):
        """Apache Kafka."""
        port = free_port()
        return Broker("Apache Kafka", [HERE / "reference/start", str(port), data], port, data, log)

    @staticmethod
    def corelog(binary, data, log):
        """Corelog, small."""
        port = free_port()
        settings = [part for setting in SMALL for part in ("--set", setting)]
        command = [binary, "start", "--dev", "--listen", f"127.0.0.1:{port}", "--data-dir", data]
        return Broker("Corelog", [*command, *settings], port, data, log)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(self.address):
                return
            time.sleep(0.1)
        sys.exit(f"{self.name} did not start; see {self.log}")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        self.start()

    def keep(self):
        """Remembers what is stored now, while nothing is being written."""
        kept = self.data.with_suffix(".kept")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.data, kept)

    def crash(self):
        """Ends at once, and what was written since `keep` has not reached the disk."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.data)
        self.data.with_suffix(".kept").rename(self.data)
        self.start()


def free_port():
    """A port that is free, and the next one, too: Kafka's controller takes it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe, contextlib.suppress(OSError):
            port = probe.getsockname()[1]
            with socket.create_server(("127.0.0.1", port + 1)):
                return port
