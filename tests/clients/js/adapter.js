// Adapter of kafkajs, for the protocol in python/protocol.py. Argument: the bootstrap address.

const readline = require('readline')
const { Kafka, logLevel } = require('kafkajs')
const { Groups } = require('./groups')
const { Topics } = require('./topics')
const { Unsupported, codeOf } = require('./failures')

async function answer(adapters, line) {
  try {
    const { op, ...fields } = JSON.parse(line)
    const adapter = adapters.find((candidate) => candidate[op])
    if (!adapter) throw new Unsupported(`kafkajs has no ${op} as the suite needs it`)
    const result = await adapter[op](fields)
    return { ok: result === undefined ? null : result }
  } catch (error) {
    if (error instanceof Unsupported) return { unsupported: error.message }
    const code = codeOf(error)
    const text = `${error.name}: ${error.message}`
    return code === null ? { error: text } : { code, message: text }
  }
}

async function main(bootstrap) {
  const settings = {
    brokers: [bootstrap],
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => process.stderr.write(`${entry.log.message}\n`),
  }
  const kafka = new Kafka(settings)
  const admin = kafka.admin()
  await admin.connect()
  const adapters = [new Topics(kafka, admin), new Groups(settings, admin)]
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(adapters, line))}\n`)
  }
  process.exit(0)
}

main(process.argv[2])
