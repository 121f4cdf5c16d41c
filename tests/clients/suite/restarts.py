"""Consumers that live through a restart of the broker: they go on, and learn of what was lost."""

import time

from protocol import Record
from report import expect, expect_code

READ_S = 2  # for ten records
FIRST, LOST, KEPT = 10, 5, 5


def run_all(report, broker, clients, helper, prefix):
    for client in clients:
        name = f"restart/{client.name}"
        report.test(f"{name}/goes-on", lambda: goes_on(broker, client, helper, prefix))
        if client.truncation:
            report.test(f"{name}/lost", lambda: lost(broker, client, helper, prefix))


def records(first, count):
    numbers = [b"%d" % number for number in range(first, first + count)]
    return [Record(number, key=number, partition=0) for number in numbers]


def goes_on(broker, client, helper, prefix):
    """It reads on behind the restart, nothing twice and nothing left out."""
    topic = f"{prefix}-goes-on-{client.name}"
    helper.create(topic)
    helper.produce(topic, records(0, FIRST))
    client.begin_consume(topic, 0, 2 * FIRST, wait_ms=40_000)
    time.sleep(READ_S)
    with client.paused():
        broker.restart()
        helper.produce(topic, records(FIRST, FIRST))
    found = client.end_consume()
    expect([int(record.value) for record in found], list(range(2 * FIRST)), "read")


def lost(broker, client, helper, prefix):
    """Records that it has read are gone after a crash, and others are at their offsets; the log has
    grown past its position again. It must say so: OFFSET_OUT_OF_RANGE, or its own word for it."""
    topic = f"{prefix}-lost-{client.name}"
    helper.create(topic, **({"write_caching": "true"} if broker.name == "Corelog" else {}))
    helper.produce(topic, records(0, KEPT))
    time.sleep(0.5)
    broker.keep()
    helper.produce(topic, records(KEPT, LOST))
    client.begin_consume(topic, 0, 4 * FIRST, wait_ms=40_000)
    time.sleep(READ_S)
    with client.paused():
        broker.crash()
        helper.produce(topic, records(100, 2 * FIRST))
    expect_code(1, client.end_consume)
