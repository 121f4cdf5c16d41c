//! The table as a page of the documentation, `docs/settings.md`.

use super::kafka_only;
use super::list::{change_name, inherits_from};
use super::setting::{Scope, Setting};
use super::table;

const INTRODUCTION: &str = "\
# Settings

This page is made from the table in `server/broker/src/config`; a test holds the two equal.

## Where settings come from

Stronger sources come later:

1. the defaults below;
2. a file: TOML, or a Kafka `server.properties` as it is;
3. the environment: `CORELOG_NUM_PARTITIONS` is `num.partitions`;
4. flags: `--set num.partitions=3`, and `--data-dir`, `--listen`, `--advertise`, `--cores`;
5. what is set over the protocol, first for all brokers, then for one.

In TOML, `\"num.partitions\" = 3`, `num.partitions = 3` and `partitions = 3` under `[num]` are the
same. Sizes and times are numbers in the unit of the setting, or text with a suffix: `\"64MiB\"`,
`\"7d\"`. Over the protocol numbers are digits, as in Kafka. The broker does not start with a
setting that it does not know or a value that is not allowed, and says all that is wrong at once;
`corelog config check` says it beforehand. Only in a `server.properties` a name that nobody knows is
a warning, as in Kafka, and with `--strict` refused there, too.

*At start* settings are read when the broker starts. *Live* ones can be altered over the protocol.
";

const TOPICS: &str = "
## Topics

A topic sets these when it is created or altered. One that it does not set has the value of the
broker setting in the last column, or of the first one there that is set.
";

const GROUPS: &str = "
## Groups

A group may have these of its own, whether it exists yet or not:
`kafka-configs.sh --alter --entity-type groups`. What counts else is the broker setting in the last
column. Bounds are the broker's `group.consumer.min.*` and `group.consumer.max.*`.
";

const KAFKA_ONLY: &str = "
## Kafka's settings that are ignored

A `server.properties` may contain these. A start names them in one line, `corelog config check` says
why of each, and nothing else happens. A name that ends in a dot stands for all that begin so.
";

const REFUSED: &str = "
## Kafka's settings that are refused

The broker does not start with these, because their absence would be missed.
";

/// The page.
pub(super) fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in table::groups() {
        page.push_str(&format!("\n## {}\n\n", group.title));
        page.push_str("| name | default | allowed | changes | |\n|---|---|---|---|---|\n");
        page.extend(group.rows.iter().map(broker_line));
    }
    page.push_str(TOPICS);
    page.push_str("\n| name | default | allowed | | inherits from |\n|---|---|---|---|---|\n");
    page.extend(table::topic().map(resource_line));
    page.push_str(GROUPS);
    page.push_str("\n| name | default | allowed | | inherits from |\n|---|---|---|---|---|\n");
    page.extend(table::group().map(resource_line));
    page.push_str(KAFKA_ONLY);
    page.push_str("\n| names | why |\n|---|---|\n");
    for group in kafka_only::IGNORED {
        let names: Vec<String> = group.names().map(code).collect();
        page.push_str(&format!("| {} | {} |\n", names.join(", "), group.why));
    }
    page.push_str(REFUSED);
    page.push_str("\n| name | why |\n|---|---|\n");
    for (name, why) in kafka_only::refused() {
        page.push_str(&format!("| {} | {why} |\n", code(name)));
    }
    page
}

fn broker_line(setting: &Setting) -> String {
    let names: Vec<String> =
        std::iter::once(&setting.name).chain(setting.aliases).map(|name| code(name)).collect();
    format!(
        "| {} | {} | {} | {} | {} |\n",
        names.join(", "),
        default(setting),
        setting.allowed(),
        change_name(setting.change),
        meaning(setting),
    )
}

fn meaning(setting: &Setting) -> String {
    match setting.scope {
        Scope::TopicDefault(topic) => format!("The default of {}, below.", code(topic)),
        Scope::Broker | Scope::Topic(_) | Scope::Group(_) => setting.documentation(),
    }
}

fn resource_line(setting: &Setting) -> String {
    let from: Vec<String> = inherits_from(setting.scope).into_iter().map(code).collect();
    format!(
        "| {} | {} | {} | {} | {} |\n",
        code(setting.name),
        default(setting),
        setting.allowed(),
        setting.documentation(),
        from.join(", "),
    )
}

fn default(setting: &Setting) -> String {
    match setting.default {
        None => "unset".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => code(text),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
