// The assignor that all clients have in common and kafkajs leaves to its users.

const { AssignerProtocol: { MemberAssignment, MemberMetadata } } = require('kafkajs')

const NAME = 'range'
const VERSION = 0 // of the consumer's embedded protocol
const userData = Buffer.alloc(0)

function range({ cluster }) {
  return {
    name: NAME,
    version: VERSION,

    async assign({ members }) {
      const assignments = new Map(members.map(({ memberId }) => [memberId, {}]))
      const subscribers = new Map()
      for (const { memberId, memberMetadata } of members) {
        for (const topic of MemberMetadata.decode(memberMetadata).topics) {
          subscribers.set(topic, [...(subscribers.get(topic) || []), memberId].sort())
        }
      }
      for (const [topic, memberIds] of subscribers) {
        const metadata = cluster.findTopicPartitionMetadata(topic)
        const partitions = metadata.map(({ partitionId }) => partitionId).sort((a, b) => a - b)
        share(partitions, memberIds).forEach((part, index) => {
          if (part.length) assignments.get(memberIds[index])[topic] = part
        })
      }
      return [...assignments].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({ version: VERSION, assignment, userData }),
      }))
    },

    protocol({ topics }) {
      return {
        name: NAME,
        metadata: MemberMetadata.encode({ version: VERSION, topics, userData }),
      }
    },
  }
}

// Runs of neighbours; the first get one more when it does not come out even.
function share(partitions, memberIds) {
  const least = Math.floor(partitions.length / memberIds.length)
  const more = partitions.length % memberIds.length
  return memberIds.map((_, index) => {
    const start = index * least + Math.min(index, more)
    return partitions.slice(start, start + least + (index < more ? 1 : 0))
  })
}

module.exports = { range }
