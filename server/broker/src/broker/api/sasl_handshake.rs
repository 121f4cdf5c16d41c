//! SaslHandshake: no listener here authenticates, and Kafka answers it on such a listener, too.
//! Clients and tools take a broker that does not list it for one of the time before SASL, 0.9.

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};

use crate::broker::api::{Call, Handled};

pub(crate) fn handle(_: &Call, _: SaslHandshakeRequest) -> Handled<SaslHandshakeResponse> {
    let error_code = ErrorCode::IllegalSaslState;
    Handled::Now(SaslHandshakeResponse { error_code, mechanisms: Vec::new() })
}
