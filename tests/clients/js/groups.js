// The operations on consumer groups.

const { AssignerProtocol, Kafka } = require('kafkajs')
const { CodeError, Unsupported } = require('./failures')
const { range } = require('./range')

const HEARTBEAT_MS = 500
const METADATA_MS = 500
const FETCH_WAIT_MS = 200
const UNKNOWN_MEMBER_ID = 25

class Member {
  constructor(consumer) {
    this.consumer = consumer
    this.held = []
    this.events = []
    this.records = []
    this.next = new Map() // what a commit of all that was polled commits
    const { CRASH, GROUP_JOIN, REBALANCING } = consumer.events
    consumer.on(GROUP_JOIN, ({ payload }) => this.assigned(payload.memberAssignment))
    consumer.on(REBALANCING, () => this.revoked())
    consumer.on(CRASH, ({ payload }) => this.events.push([`${payload.error}`, []]))
  }

  assigned(assignment) {
    if (this.held.length) this.revoked()
    this.held = placesOf(assignment)
    this.events.push(['assigned', this.held])
  }

  revoked() {
    this.events.push(['revoked', this.held])
    this.held = []
    this.next.clear()
  }

  read({ topic, partition, message }) {
    this.records.push([topic, partition, Number(message.offset)])
    this.next.set(`${partition} ${topic}`, [topic, partition, Number(message.offset) + 1, ''])
  }

  told() {
    const { held, events, records } = this
    this.events = []
    this.records = []
    return { held, events, records }
  }
}

class Groups {
  constructor(settings, admin) {
    this.settings = settings // of every client
    this.admin = admin
    this.members = new Map()
  }

  async group_open({ id, group, topics, pattern, protocol, assignor, instance, session_ms }) {
    if (protocol !== 'classic') throw new Unsupported('kafkajs has the classic protocol only')
    if (assignor !== 'range') throw new Unsupported(`kafkajs has no ${assignor}`)
    if (instance) throw new Unsupported('kafkajs has no static members')
    if (pattern) throw new Unsupported('kafkajs looks for topics only when it subscribes')
    const consumer = new Kafka({ ...this.settings, clientId: id }).consumer({
      groupId: group,
      sessionTimeout: session_ms,
      heartbeatInterval: HEARTBEAT_MS,
      metadataMaxAge: METADATA_MS,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      partitionAssigners: [range],
    })
    const member = new Member(consumer)
    await consumer.connect()
    await consumer.subscribe({ topics, fromBeginning: true })
    const running = consumer.run({
      autoCommit: false,
      eachMessage: async (read) => member.read(read),
    })
    running.catch((error) => member.events.push([`${error}`, []]))
    this.members.set(id, member)
  }

  async group_poll({ ids, ms }) {
    await new Promise((resolve) => setTimeout(resolve, ms))
    return Object.fromEntries(ids.map((id) => [id, this.members.get(id).told()]))
  }

  async group_commit({ id, offsets }) {
    const { consumer, next } = this.members.get(id)
    const chosen = offsets || [...next.values()]
    await consumer.commitOffsets(chosen.map(([topic, partition, offset, metadata]) => ({
      topic, partition, offset: String(offset), metadata,
    })))
  }

  async group_close({ id }) {
    const { consumer } = this.members.get(id)
    this.members.delete(id)
    await consumer.disconnect()
  }

  async group_list() {
    const { groups } = await this.admin.listGroups()
    return Object.fromEntries(groups.map(({ groupId }) => [groupId, null]))
  }

  async group_describe({ group }) {
    const { groups: [{ state, members }] } = await this.admin.describeGroups([group])
    return {
      state,
      members: members.map(({ clientId, memberAssignment }) => [
        null, clientId, placesOf(decoded(memberAssignment))]),
    }
  }

  async group_offsets({ group }) {
    const found = await this.admin.fetchOffsets({ groupId: group })
    return found.flatMap(({ topic, partitions }) => partitions.map(
      ({ partition, offset, metadata }) => [topic, partition, Number(offset), metadata, null]))
  }

  async group_alter({ group, offsets }) {
    const topics = new Map()
    for (const [topic, partition, offset] of offsets) {
      topics.set(topic, [...(topics.get(topic) || []), { partition, offset: String(offset) }])
    }
    for (const [topic, partitions] of topics) {
      await this.admin.setOffsets({ groupId: group, topic, partitions }).catch((error) => {
        const inUse = error.message.includes('must have no running instances')
        throw inUse ? new CodeError(UNKNOWN_MEMBER_ID, error.message) : error
      })
    }
  }

  async group_forget() {
    throw new Unsupported('kafkajs cannot delete offsets')
  }

  async group_delete({ group }) {
    await this.admin.deleteGroups([group])
  }
}

function decoded(assignment) {
  const found = assignment.length ? AssignerProtocol.MemberAssignment.decode(assignment) : null
  return found ? found.assignment : {}
}

function placesOf(assignment) {
  return Object.entries(assignment).flatMap(
    ([topic, partitions]) => partitions.map((partition) => [topic, partition]))
}

module.exports = { Groups }
