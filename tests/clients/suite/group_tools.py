"""kafka-consumer-groups, against groups that a client of another make is in, or was."""

import functools

from members import Group, places, span
from protocol import Record
from report import eventually, expect
from scenarios import make
from tools import contains

CONSUMER_GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
PARTITIONS, COMMITTED, END = 3, 4, 5

TESTS = []


def tool_test(body):
    TESTS.append((body.__name__.replace("_", "-"), body))
    return body


def run_all(report, tools, helper, prefix):
    for name, body in TESTS:
        report.test(f"tools/consumer-groups/{name}",
                    functools.partial(body, tools, helper, f"{prefix}-tools-{name}"))


def table(output):
    """The rows of a table that a tool printed, each as {column: text}."""
    lines = [line.split() for line in output.splitlines() if line.strip()]
    [header] = [line for line in lines if line[0] in ("GROUP", "TOPIC")]
    rows = lines[lines.index(header) + 1:]
    return [dict(zip(header, row)) for row in rows]


def fill(helper, topic, records):
    helper.produce(topic, [
        Record(b"%d" % index, partition=partition)
        for partition in range(PARTITIONS) for index in range(records)])


def working(helper, name, protocol):
    """A group whose one member has committed, and then there was more to read."""
    make(helper, name, PARTITIONS)
    fill(helper, name, COMMITTED)
    group = Group(name, protocol)
    group.open(group.own_process(helper), [name])
    group.read(span(name, PARTITIONS, 0, COMMITTED))
    group.commit()
    fill(helper, name, END - COMMITTED)
    return group


def described(tools, helper, name, protocol, state_of):
    """What each form of --list and --describe says about a working group."""
    with working(helper, name, protocol) as group:
        listed = table(tools.run(CONSUMER_GROUPS, "--list", "--state", "--type"))
        [row] = [row for row in listed if row["GROUP"] == name]
        expect((row["STATE"], row["TYPE"].lower()), ("Stable", protocol), "listed state and type")
        describe = functools.partial(
            tools.run, CONSUMER_GROUPS, "--describe", "--group", name)
        [member] = group.members
        wanted = {
            str(partition): (str(COMMITTED), str(END), str(END - COMMITTED), member.name)
            for _, partition in places(name, PARTITIONS)}
        found = {
            row["PARTITION"]: tuple(row[column] for column in (
                "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CLIENT-ID"))
            for row in table(describe())}
        expect(found, wanted, "--describe")
        [row] = table(describe("--members", "--verbose"))
        expect((row["CLIENT-ID"], row["#PARTITIONS"]), (member.name, str(PARTITIONS)), "--members")
        contains(row["CURRENT-ASSIGNMENT"], name, "0,1,2")
        [row] = table(describe("--state"))
        found = row["ASSIGNMENT-STRATEGY"], row["STATE"], row["#MEMBERS"]
        expect(found, (state_of, "Stable", "1"), "--state")


@tool_test
def describe_classic(tools, helper, name):
    described(tools, helper, name, "classic", "range")


@tool_test
def describe_consumer(tools, helper, name):
    described(tools, helper, name, "consumer", "uniform")


@tool_test
def reset_and_delete(tools, helper, name):
    """Resets, deletes offsets, deletes: first refused while there is a member, then done."""
    def run(*arguments):
        return tools.run(CONSUMER_GROUPS, "--group", name, *arguments)

    def offsets():
        found = helper.call("group_offsets", group=name)
        return {partition: offset for _, partition, offset, *_ in found}

    reset = functools.partial(run, "--reset-offsets", "--topic", name, "--to-earliest")
    with working(helper, name, "classic") as group:
        contains(run("--delete"), "is not empty")
        [member] = group.members
        group.close(member)
    expect({row["NEW-OFFSET"] for row in table(reset())}, {"0"}, "new offsets of the dry run")
    expect(set(offsets().values()), {COMMITTED}, "offsets after the dry run")
    reset("--execute")
    eventually(offsets, dict.fromkeys(range(PARTITIONS), 0), "offsets after --reset-offsets")
    rows = table(run("--delete-offsets", "--topic", f"{name}:1"))
    expect([(row["PARTITION"], row["STATUS"]) for row in rows], [("1", "Successful")], "outcome")
    eventually(lambda: sorted(offsets()), [0, 2], "partitions with an offset")
    contains(run("--delete"), "successful")
    if name in tools.run(CONSUMER_GROUPS, "--list").split():
        raise AssertionError("the deleted group is listed")
