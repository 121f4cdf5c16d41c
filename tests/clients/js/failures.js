// What the adapter answers when something does not work.

class Unsupported extends Error {}

class CodeError extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

// Kafka's error code; kafkajs wraps errors, and gathers them.
function codeOf(error) {
  if (Array.isArray(error.errors)) return codeOf(error.errors[0])
  if (Array.isArray(error.groups)) return error.groups[0].errorCode
  if (Number.isInteger(error.code) && error.code > 0) return error.code
  return error.cause ? codeOf(error.cause) : null
}

module.exports = { CodeError, Unsupported, codeOf }
