//! The table of messages, one file per API, in the language of `table`.
//!
//! Names, types, versions, tags and defaults are those of Kafka's protocol. A field's documentation
//! begins with its row of the table.

pub mod api_versions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod produce;
pub mod shared;
