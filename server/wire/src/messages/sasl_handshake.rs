//! SaslHandshake: which mechanism a client authenticates with.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// The mechanism that the client has chosen.
    struct SaslHandshakeRequest {
        mechanism: Str,
    }

    /// Whether it can go on with that, and what there is to choose from.
    struct SaslHandshakeResponse {
        error_code: ErrorCode,
        mechanisms: Vec<Str>,
    }
}
