//! Bytes that nobody sends in good faith: every message and version, cut, overwritten and random.
//!
//! Nothing may panic, nothing may allocate more than a small multiple of the frame, and whatever is
//! accepted must be a value that can be written and read again.

use std::alloc::System;

use bytes::Bytes;
use corelog_wire::api::{EachApi, Message, Request, each_api};
use corelog_wire::error::Malformed;
use corelog_wire::messages::delete_topics::DeleteTopicsRequest;
use corelog_wire::populate::{Seed, message};
use corelog_wire::reader::Reader;
use corelog_wire::writer::Writer;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The worst there is: a ListGroups response of version 3, three bytes a group and 128 in memory.
/// Of requests it is an array of empty compact strings, one byte each and 32 in memory.
const MEMORY_PER_BYTE: usize = 43;
/// The frame's reference count, allocated when the first slice of it is taken.
const MEMORY_PER_FRAME: usize = 64;

const VALUES_PER_VERSION: u64 = 4;
/// Positions attacked in one value; longer values are attacked at random positions.
const POSITIONS: usize = 400;

/// What is written over a position: lengths of 1, 2, 4 and 5 bytes, huge or negative.
const CLAIMS: &[&[u8]] = &[
    &[0xff],
    &[0x00],
    &[0x7f],
    &[0xff, 0xff],
    &[0x7f, 0xff],
    &[0x80, 0x00],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0x00, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff],
];

fn encode<M: Message>(body: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    body.encode(&mut writer, version);
    writer.finish().unwrap().into_bytes().unwrap().slice(4..)
}

/// Decodes within the memory allowed.
fn decode<M: Message>(frame: &Bytes, version: i16) -> Option<M> {
    let mut reader = Reader::new(frame.clone());
    let region = Region::new(ALLOCATOR);
    let result = M::decode(&mut reader, version);
    let allocated = region.change().bytes_allocated;
    let allowed = MEMORY_PER_BYTE * frame.len() + MEMORY_PER_FRAME;
    assert!(allocated <= allowed, "{} {version}: {allocated} for {frame:x?}", M::NAME);
    result.ok()
}

/// Decodes something that may well be a message.
fn attack<M: Message>(frame: &[u8], version: i16) {
    let Some(body) = decode::<M>(&Bytes::copy_from_slice(frame), version) else { return };
    let again = decode::<M>(&encode(&body, version), version);
    assert_eq!(again.as_ref(), Some(&body), "{} {version}", M::NAME);
}

fn positions(len: usize, seed: &mut Seed) -> Vec<usize> {
    match len <= POSITIONS {
        true => (0..len).collect(),
        false => (0..POSITIONS).map(|_| seed.below(len)).collect(),
    }
}

fn attack_version<M: Message>(version: i16) {
    for number in 0..VALUES_PER_VERSION {
        let seed = &mut Seed(number);
        let whole = encode(&message::<M>(seed, version), version);
        for position in positions(whole.len(), seed) {
            let cut = decode::<M>(&whole.slice(..position), version);
            assert_eq!(cut, None, "{} {version} cut at {position}", M::NAME);
            for claim in CLAIMS {
                let mut frame = whole.to_vec();
                let end = frame.len().min(position + claim.len());
                frame[position..end].copy_from_slice(&claim[..end - position]);
                attack::<M>(&frame, version);
                frame.splice(position..position, claim.iter().copied());
                attack::<M>(&frame, version);
            }
        }
        for _ in 0..100 {
            let len = seed.below(200);
            let few_values = seed.one_in(2);
            let mut byte = || (seed.next_u64() % if few_values { 4 } else { 256 }) as u8;
            let frame: Vec<u8> = (0..len).map(|_| byte()).collect();
            attack::<M>(&frame, version);
        }
        attack::<M>(&[0x01; 500], version);
        attack::<M>(&[0x00; 500], version);
    }
}

struct Attack;

impl EachApi for Attack {
    fn api<R: Request>(&mut self) {
        for version in R::SERVED.min..=R::SERVED.max {
            attack_version::<R>(version);
            attack_version::<R::Response>(version);
        }
    }
}

/// The frame that asks for most memory: empty strings, as many as there are bytes.
fn array_memory_is_a_limit() {
    const NAMES: usize = 3 << 20;
    let names = vec![1; NAMES];
    // NAMES + 1 as a varint of four bytes, then the timeout and no tags.
    let frame = Bytes::from([&[0x81, 0x80, 0xc0, 0x01], &names[..], &[0; 5]].concat());
    let request = decode::<DeleteTopicsRequest>(&frame, 4);
    assert!(request.is_none(), "96 MiB of strings");

    let region = Region::new(ALLOCATOR);
    let mut reader = Reader::with_array_memory(frame.clone(), 32 * NAMES - 1);
    let error = DeleteTopicsRequest::decode(&mut reader, 4).unwrap_err();
    assert_eq!(error.cause, Malformed::ArrayMemory);
    assert_eq!(region.change().bytes_allocated, 0);
    let mut reader = Reader::with_array_memory(frame, 32 * NAMES);
    assert_eq!(DeleteTopicsRequest::decode(&mut reader, 4).unwrap().topic_names.len(), NAMES);
}

/// One test, because the allocator counts for the whole process.
#[test]
fn hostile_bytes_are_refused_or_read_within_their_memory() {
    array_memory_is_a_limit();
    each_api(&mut Attack);
}
