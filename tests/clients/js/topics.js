// The operations on topics and records.

const { CompressionTypes, ConfigResourceTypes } = require('kafkajs')
const { CodeError, Unsupported } = require('./failures')

const UNKNOWN_TOPIC = 3
const TOPIC_ALREADY_EXISTS = 36
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP }

class Topics {
  constructor(kafka, admin) {
    this.kafka = kafka
    this.admin = admin
  }

  async create({ topic, partitions, replication, configs }) {
    const made = await this.admin.createTopics({
      topics: [{
        topic,
        numPartitions: partitions,
        replicationFactor: replication,
        configEntries: entries(configs),
      }],
    })
    if (!made) throw new CodeError(TOPIC_ALREADY_EXISTS, 'kafkajs says that it made no topic')
  }

  async delete({ topic }) {
    await this.admin.deleteTopics({ topics: [topic] })
  }

  async partitions({ topic }) {
    try {
      const { topics } = await this.admin.fetchTopicMetadata({ topics: [topic] })
      return topics[0].partitions.length
    } catch (error) {
      if (error.code === UNKNOWN_TOPIC) return 0
      throw error
    }
  }

  async configs({ topic }) {
    const { resources } = await this.admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    })
    return Object.fromEntries(resources[0].configEntries.map(
      ({ configName, configValue }) => [configName, configValue]))
  }

  async alter({ kind, name, changes, replacing }) {
    if (kind !== 'topic') throw new Unsupported('kafkajs has no configs of groups')
    if (!replacing) throw new Unsupported('kafkajs replaces all configs of a topic')
    await this.admin.alterConfigs({
      resources: [{ type: ConfigResourceTypes.TOPIC, name, configEntries: entries(changes) }],
    })
  }

  async grow({ topic, partitions }) {
    await this.admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] })
  }

  async offset({ topic, partition, at }) {
    if (at !== 'earliest' && at !== 'latest') {
      throw new Unsupported('kafkajs answers with the end where no record is that late')
    }
    const found = await this.admin.fetchTopicOffsets(topic)
    const ends = found.find((place) => place.partition === partition)
    if (!ends) throw new Unsupported('kafkajs has no look-up of a partition that is missing')
    return Number(at === 'earliest' ? ends.low : ends.high)
  }

  async produce({ topic, records, codec, acks, idempotent }) {
    if (!(codec in CODECS)) throw new Unsupported(`kafkajs itself has no ${codec}`)
    const producer = this.kafka.producer({ allowAutoTopicCreation: false, idempotent })
    await producer.connect()
    try {
      const sent = await producer.send({
        topic,
        acks: acks === 'all' ? -1 : Number(acks),
        compression: CODECS[codec],
        messages: records.map(message),
      })
      return acks === '0' ? null : offsets(records, sent)
    } finally {
      await producer.disconnect()
    }
  }

  async consume() {
    throw new Unsupported('kafkajs reads as a member of a group only')
  }
}

function entries(configs) {
  return Object.entries(configs).map(([name, value]) => ({ name, value }))
}

function message({ key, value, partition, timestamp, headers }) {
  const named = {}
  for (const [name, text] of headers) named[name] = [...(named[name] || []), bytes(text)]
  return {
    key: bytes(key),
    value: bytes(value),
    headers: named,
    ...(partition === null ? {} : { partition }),
    ...(timestamp === null ? {} : { timestamp: String(timestamp) }),
  }
}

function bytes(base64) {
  return base64 === null ? null : Buffer.from(base64, 'base64')
}

// kafkajs tells where the records of each partition begin; null when it chose the partitions.
function offsets(records, sent) {
  if (records.some(({ partition }) => partition === null)) return null
  const next = new Map(sent.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
  return records.map(({ partition }) => {
    const offset = next.get(partition)
    next.set(partition, offset + 1)
    return offset
  })
}

module.exports = { Topics }
