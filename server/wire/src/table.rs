//! The language the message table is written in.
//!
//! ```text
//! messages! {
//!     /// What it is for.
//!     struct FetchRequest {
//!         replica_id: i32 [..=14] = -1,                   // in versions up to 14; default -1
//!         max_wait_ms: i32,                               // in every version
//!         topics: Vec<FetchTopic>,                        // elements are another struct
//!         topic: Option<Str> [.., null 10..],             // in every version, nullable from 10
//!         validate_only: bool [1..; strict],              // must not be dropped silently
//!         0 => cluster_id: Option<Str> [12..],            // tagged field, tag 0, from version 12
//!     }
//! }
//! ```
//!
//! Fields lie on the wire in the order of the table, tagged ones after them. The rules:
//!
//! * `[versions]` where the field exists; without it, in every version its struct exists in.
//!   Elsewhere it reads as its default, and is left out when written.
//! * `null` where an `Option` may be null; without it, everywhere. `None` elsewhere cannot be
//!   written.
//! * `strict`: a request that says something which the version cannot express is not the same
//!   request, so a value that is not the default cannot be written. Responses are never strict:
//!   the asker could not read the field anyway.
//! * Defaults are Kafka's where given, otherwise 0, false, empty, and `None` for an `Option`.
//! * A tagged field is written if it is not the default.

/// Generates structs and their codec. See the module's documentation.
macro_rules! messages {
    ($(
        $(#[$meta:meta])*
        struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $type:ty
                    $([$versions:expr $(, null $null:expr)? $(; $rule:ident)?])?
                    $(= $default:expr)?,
            )*
            $(
                $tag:literal => $tagged:ident: $tagged_type:ty
                    [$tagged_versions:expr $(; $tagged_rule:ident)?]
                    $(= $tagged_default:expr)?,
            )*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                #[doc = concat!(
                    "`", stringify!($field), ": ", stringify!($type),
                    $(" ", stringify!([$versions $(, null $null)? $(; $rule)?]),)?
                    $(" = ", stringify!($default),)? "`",
                )]
                $(#[doc = ""] #[$field_meta])*
                pub $field: $type,
            )*
            $(
                #[doc = concat!(
                    "`", $tag, " => ", stringify!($tagged), ": ", stringify!($tagged_type), " ",
                    stringify!([$tagged_versions $(; $tagged_rule)?]),
                    $(" = ", stringify!($tagged_default),)? "`",
                )]
                pub $tagged: $tagged_type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    $($field: default_or!($type $(, $default)?),)*
                    $($tagged: default_or!($tagged_type $(, $tagged_default)?),)*
                }
            }
        }

        const _: () = {
            use $crate::codec::{Field, Nullable, Version};
            use $crate::error::DecodeError;
            use $crate::reader::Reader;
            use $crate::writer::Writer;

            impl Field for $name {
                fn min_size(version: Version) -> usize {
                    usize::from(version.flexible)
                        $(+ when!(version $(, $versions)? =>
                            <$type>::min_size(version),
                            0))*
                }

                #[allow(unused_mut, reason = "tagged fields are assigned, where there are any")]
                fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
                    let mut this = $name {
                        $($field: when!(version $(, $versions)? =>
                            read_field!(reader, version $($(, $null)?)?)
                                .map_err(|error| error.at(path!($name.$field)))?,
                            default_or!($type $(, $default)?)),)*
                        $($tagged: default_or!($tagged_type $(, $tagged_default)?),)*
                    };
                    if version.flexible {
                        reader.tagged(|_reader, tag| match tag {
                            $($tag if within!(version, $tagged_versions) => {
                                this.$tagged = Field::read(_reader, version)
                                    .map_err(|error| error.at(path!($name.$tagged)))?;
                                Ok(true)
                            })*
                            _ => Ok(false),
                        }).map_err(|error| error.at(path!($name.tagged)))?;
                    }
                    Ok(this)
                }

                fn write(&self, writer: &mut Writer, version: Version) {
                    $(when!(version $(, $versions)? =>
                        write_field!(self, writer, version, $name.$field $($(, $null)?)?),
                        refuse_loss!(self, writer, version, $name.$field,
                            default_or!($type $(, $default)?) $($(, $rule)?)?));)*
                    $(let $tagged = when!(version, $tagged_versions =>
                        self.$tagged != default_or!($tagged_type $(, $tagged_default)?),
                        {
                            refuse_loss!(self, writer, version, $name.$tagged,
                                default_or!($tagged_type $(, $tagged_default)?)
                                $(, $tagged_rule)?);
                            false
                        });)*
                    if version.flexible {
                        writer.put_uvarint(0 $(+ u32::from($tagged))*);
                        $(if $tagged {
                            writer.put_tagged($tag, |writer| self.$tagged.write(writer, version));
                        })*
                    }
                }

                #[cfg(feature = "populate")]
                fn populate<S: $crate::populate::Source>(seed: &mut S, version: Version) -> Self {
                    $name {
                        $($field: when!(version $(, $versions)? =>
                            populate_field!(seed, version $($(, $null)?)?),
                            default_or!($type $(, $default)?)),)*
                        $($tagged: if within!(version, $tagged_versions) && seed.flag() {
                            Field::populate(seed, version)
                        } else {
                            default_or!($tagged_type $(, $tagged_default)?)
                        },)*
                    }
                }
            }

            /// A byte tells: negative for null, otherwise the struct follows.
            impl Nullable for $name {
                fn min_size_nullable(_: Version) -> usize {
                    1
                }

                fn read_nullable(
                    reader: &mut Reader,
                    version: Version,
                ) -> Result<Option<Self>, DecodeError> {
                    let [presence] = reader.take()?;
                    (presence < 0x80).then(|| Field::read(reader, version)).transpose()
                }

                fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
                    writer.put(&[if value.is_some() { 1 } else { 0xff }]);
                    if let Some(value) = value {
                        value.write(writer, version);
                    }
                }
            }
        };
    )*};
}

macro_rules! path {
    ($name:ident.$field:ident) => {
        concat!(stringify!($name), ".", stringify!($field))
    };
}

macro_rules! default_or {
    ($type:ty) => {
        <$type as Default>::default()
    };
    ($type:ty, $default:expr) => {
        $default
    };
}

macro_rules! within {
    ($version:ident, $versions:expr) => {
        std::ops::RangeBounds::<i16>::contains(&($versions), &$version.number)
    };
}

/// The first value in the given versions (or always), else the second.
macro_rules! when {
    ($version:ident => $inside:expr, $outside:expr) => {
        $inside
    };
    ($version:ident, $versions:expr => $inside:expr, $outside:expr) => {
        if within!($version, $versions) { $inside } else { $outside }
    };
}

macro_rules! read_field {
    ($reader:ident, $version:ident) => {
        $crate::codec::Field::read($reader, $version)
    };
    ($reader:ident, $version:ident, $null:expr) => {
        if within!($version, $null) {
            $crate::codec::Field::read($reader, $version)
        } else {
            $crate::codec::Field::read($reader, $version).map(Some)
        }
    };
}

macro_rules! write_field {
    ($this:ident, $writer:ident, $version:ident, $name:ident.$field:ident) => {
        $crate::codec::Field::write(&$this.$field, $writer, $version)
    };
    ($this:ident, $writer:ident, $version:ident, $name:ident.$field:ident, $null:expr) => {
        match &$this.$field {
            value if within!($version, $null) => {
                $crate::codec::Field::write(value, $writer, $version);
            }
            Some(value) => $crate::codec::Field::write(value, $writer, $version),
            None => $writer.fail($crate::error::EncodeError::Null {
                field: path!($name.$field),
                version: $version.number,
            }),
        }
    };
}

macro_rules! refuse_loss {
    ($this:ident, $writer:ident, $version:ident, $name:ident.$field:ident, $default:expr) => {
        ()
    };
    ($this:ident, $writer:ident, $version:ident, $name:ident.$field:ident, $default:expr,
        strict) => {
        if $this.$field != $default {
            $writer.fail($crate::error::EncodeError::Lost {
                field: path!($name.$field),
                version: $version.number,
            });
        }
    };
}

#[cfg(feature = "populate")]
macro_rules! populate_field {
    ($seed:ident, $version:ident) => {
        $crate::codec::Field::populate($seed, $version)
    };
    ($seed:ident, $version:ident, $null:expr) => {
        if within!($version, $null) {
            $crate::codec::Field::populate($seed, $version)
        } else {
            Some($crate::codec::Field::populate($seed, $version))
        }
    };
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "the table's structs are public")]
mod tests {
    use bytes::Bytes;

    use crate::codec::{Field, Version};
    use crate::error::{DecodeError, EncodeError, Malformed};
    use crate::reader::Reader;
    use crate::text::Str;
    use crate::writer::Writer;

    messages! {
        /// One of each rule of the language.
        struct Sample {
            always: i16,
            early: i8 [..=1; strict] = -1,
            name: Option<Str> [1.., null 2..],
            nested: Option<Nested> [2..],
            list: Vec<i8> [2..; strict],
            0 => late: i8 [2..; strict] = 7,
            2 => text: Option<Str> [3..],
        }

        /// A struct that may be null.
        struct Nested {
            inner: i8,
        }
    }

    fn sample() -> Sample {
        Sample { always: 1, name: Some("n".into()), ..Default::default() }
    }

    fn version(number: i16) -> Version {
        Version { number, flexible: number >= 2 }
    }

    fn encode(sample: &Sample, number: i16) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::new();
        sample.write(&mut writer, version(number));
        Ok(writer.finish()?.into_bytes().unwrap()[4..].to_vec())
    }

    fn decode(bytes: &[u8], number: i16) -> Result<Sample, DecodeError> {
        Sample::read(&mut Reader::new(Bytes::copy_from_slice(bytes)), version(number))
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let expected = Sample {
            always: 0,
            early: -1,
            name: None,
            nested: None,
            list: Vec::new(),
            late: 7,
            text: None,
        };
        assert_eq!(Sample::default(), expected);
    }

    #[test]
    fn values_lie_on_the_wire_as_the_version_says() {
        let with = |change: fn(&mut Sample)| {
            let mut value = sample();
            change(&mut value);
            value
        };
        for (number, value, bytes) in [
            (0, with(|s| s.name = None), &[0, 1, 0xff][..]),
            (1, with(|s| s.early = 5), &[0, 1, 5, 0, 1, b'n']),
            (2, sample(), &[0, 1, 2, b'n', 0xff, 1, 0]),
            (2, with(|s| s.name = None), &[0, 1, 0, 0xff, 1, 0]),
            (2, with(|s| s.nested = Some(Nested { inner: 9 })), &[0, 1, 2, b'n', 1, 9, 0, 1, 0]),
            (2, with(|s| s.list = vec![3, -1]), &[0, 1, 2, b'n', 0xff, 3, 3, 0xff, 0]),
            (2, with(|s| s.late = 8), &[0, 1, 2, b'n', 0xff, 1, 1, 0, 1, 8]),
            (3, with(|s| s.text = Some("".into())), &[0, 1, 2, b'n', 0xff, 1, 1, 2, 1, 1]),
            (
                3,
                with(|s| (s.late, s.text) = (0, Some("t".into()))),
                &[0, 1, 2, b'n', 0xff, 1, 2, 0, 1, 0, 2, 2, 2, b't'],
            ),
        ] {
            assert_eq!(encode(&value, number).as_deref(), Ok(bytes), "version {number}");
            assert_eq!(decode(bytes, number), Ok(value), "version {number}");
        }
    }

    #[test]
    fn what_a_version_cannot_say_is_not_written() {
        let lost = |field, version| Err(EncodeError::Lost { field, version });
        for (number, value, expected) in [
            (2, Sample { early: 0, ..sample() }, lost("Sample.early", 2)),
            (1, Sample { list: vec![0], ..sample() }, lost("Sample.list", 1)),
            (1, Sample { late: 0, ..sample() }, lost("Sample.late", 1)),
            (
                1,
                Sample { name: None, ..sample() },
                Err(EncodeError::Null { field: "Sample.name", version: 1 }),
            ),
        ] {
            assert_eq!(encode(&value, number), expected);
        }
    }

    #[test]
    fn what_is_not_strict_is_left_out() {
        let value =
            Sample { nested: Some(Nested { inner: 1 }), text: Some("t".into()), ..sample() };
        assert_eq!(encode(&value, 1), encode(&sample(), 1));
    }

    #[test]
    fn malformed_values_are_refused_with_their_field() {
        let error = |field, cause| Err(DecodeError { field, cause });
        for (number, bytes, expected) in [
            (0, &[0][..], error("Sample.always", Malformed::Truncated { needed: 2, left: 1 })),
            (1, &[0, 1, 5, 0xff, 0xff], error("Sample.name", Malformed::Null)),
            (1, &[0, 1, 5, 0, 1, 0xff], error("Sample.name", Malformed::NotUtf8)),
            (2, &[0, 1, 0, 0xff, 0, 0], error("Sample.list", Malformed::Null)),
            (2, &[0, 1, 0, 1], error("Nested.inner", Malformed::Truncated { needed: 1, left: 0 })),
            (
                2,
                &[0, 1, 0, 0xff, 4, 1, 1],
                error("Sample.list", Malformed::ArrayTooLong { count: 3, left: 2 }),
            ),
            // A known tag whose size is not that of its content.
            (2, &[0, 1, 0, 0xff, 1, 1, 0, 2, 8, 8], error("Sample.tagged", Malformed::TagSize(0))),
            (
                2,
                &[0, 1, 0, 0xff, 1, 1, 0, 0, 8],
                error("Sample.late", Malformed::Truncated { needed: 1, left: 0 }),
            ),
        ] {
            assert_eq!(decode(bytes, number), expected);
        }
    }

    #[test]
    fn tags_the_version_does_not_have_are_skipped() {
        let bytes = [0, 1, 2, b'n', 0xff, 1, 3, 0, 1, 8, 2, 2, 2, b't', 9, 0];
        assert_eq!(decode(&bytes, 2), Ok(Sample { late: 8, ..sample() }));
    }
}
