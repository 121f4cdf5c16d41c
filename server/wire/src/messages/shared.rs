//! Structs that several messages have.

use crate::text::Str;

messages! {
    /// The partition's leader as the answering broker knows it.
    struct LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    /// Where a broker named in the same response is reached.
    struct NodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
    }
}
