//! DescribeConfigs: settings of topics, brokers and groups.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks for the settings of resources.
    struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool,
        include_documentation: bool [3..; strict],
    }

    /// A resource and the settings asked for; `None` is all.
    struct DescribeConfigsResource {
        resource_type: i8,
        resource_name: Str,
        configuration_keys: Option<Vec<Str>>,
    }

    /// Settings by resource.
    struct DescribeConfigsResponse {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult>,
    }

    /// One resource's settings.
    struct DescribeConfigsResult {
        error_code: ErrorCode,
        error_message: Option<Str>,
        resource_type: i8,
        resource_name: Str,
        configs: Vec<DescribeConfigsResourceResult>,
    }

    /// A setting.
    struct DescribeConfigsResourceResult {
        name: Str,
        value: Option<Str>,
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym>,
        config_type: i8 [3..],
        documentation: Option<Str> [3..],
    }

    /// Where a setting's value comes from, by precedence.
    struct DescribeConfigsSynonym {
        name: Str,
        value: Option<Str>,
        source: i8,
    }
}
