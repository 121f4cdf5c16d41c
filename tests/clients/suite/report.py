"""One line per test, and what decides whether a test passed."""

import socket
import threading
import time

from protocol import KafkaFailure, Unsupported


class BrokerGone(Exception):
    """The broker accepts no connection any more: the tests that are left would only wait."""


AT_ONCE = 10


class Report:
    """Runs tests whose name contains `only`; counts what came of them. Threads may share it."""

    def __init__(self, only, bootstrap):
        self.only = only
        self.address = bootstrap.rsplit(":", 1)
        self.counting = threading.Lock()
        self.passed = self.failed = self.skipped = 0

    def wants(self, name):
        return self.only in name

    def test(self, name, body):
        if not self.wants(name):
            return
        started = time.monotonic()
        try:
            body()
        except Unsupported as error:
            self.count("skipped", f"skipped {name}: {error}")
        except Exception as error:
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"
            self.count("failed", f"FAILED {name}: {why}")
            self.need_broker()
        else:
            self.count("passed", f"ok {name} ({time.monotonic() - started:.1f} s)")

    def count(self, outcome, line):
        with self.counting:
            setattr(self, outcome, getattr(self, outcome) + 1)
            say(line)

    def need_broker(self):
        try:
            socket.create_connection(self.address, timeout=5).close()
        except OSError as error:
            raise BrokerGone(f"the broker accepts no connection: {error}")

    def close(self):
        """Prints the totals; the exit status of the suite."""
        say(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed or not self.passed else 0


def side_by_side(bodies):
    """Runs them in threads, which do not keep the suite from ending; raises what one raised."""
    free, failures = threading.Semaphore(AT_ONCE), []

    def run(body):
        with free:
            try:
                body()
            except BaseException as failure:
                failures.append(failure)

    threads = [threading.Thread(target=run, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def say(line):
    print(line, flush=True)


def expect(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: expected {short(wanted)}, found {short(found)}")


def expect_code(code, call):
    """The client must report Kafka's error `code`."""
    try:
        result = call()
    except KafkaFailure as failure:
        if failure.code != code:
            raise AssertionError(f"expected Kafka error {code}, found {failure}")
    else:
        raise AssertionError(f"expected Kafka error {code}, found success: {short(result)}")


def expect_records(found, sent):
    """`found` are `sent` byte for byte, in order, at consecutive offsets from 0."""
    for index, (have, want) in enumerate(zip(found, sent)):
        expect(have.offset, index, "offset")
        expect((have.key, have.value), (want.key, want.value), f"key and value at {index}")
        expect(have.headers, want.headers, f"headers at {index}")
        if want.timestamp is not None:
            expect(have.timestamp, want.timestamp, f"timestamp at {index}")
    expect(len(found), len(sent), "records read")


def eventually(call, wanted, what, wait_s=15):
    """Metadata may trail an admin request: asks until the answer is `wanted`."""
    deadline = time.monotonic() + wait_s
    while (found := call()) != wanted:
        if time.monotonic() > deadline:
            expect(found, wanted, what)
        time.sleep(0.05)


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
