//! InitProducerId: an identity for an idempotent or transactional producer.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks for an identity, or for a new epoch of the one given.
    struct InitProducerIdRequest {
        transactional_id: Option<Str>,
        transaction_timeout_ms: i32,
        producer_id: i64 [3..; strict] = -1,
        producer_epoch: i16 [3..; strict] = -1,
    }

    /// The identity.
    struct InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
