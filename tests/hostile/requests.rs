//! Every served API in every version: valid requests, cut and changed.

use std::time::Duration;

use bytes::Bytes;
use corelog_tests::live::report::{NotPassed, Outcome};
use corelog_wire::api::{ApiKey, EachApi, Request, each_api};
use corelog_wire::frame::PREFIX;
use corelog_wire::header::{correlation_id, decode_response, encode_request};
use corelog_wire::populate::{Seed, message};

use crate::answer::{Answer, answer, expect_closed};
use crate::site::{Case, Site};

pub(crate) const CASES: &[Case] = &[
    Case { name: "requests/cut", attack: cut },
    Case { name: "requests/changed", attack: changed },
    Case { name: "requests/impossible-counts", attack: impossible_counts },
];

/// For an answer, or the end of the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// A fetch may wait, and a produce request may want no answer.
const PATIENCE_FOR_SILENCE: Duration = Duration::from_millis(20);
const CUTS: usize = 40;
const CHANGES: usize = 60;
const CLAIMS: usize = 60;
const FLIPS_MAX: usize = 4;

/// Counts and lengths of 4 bytes, of 2, and as varints of 5: huge, negative, none.
const HUGE: &[&[u8]] = &[
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0x00, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xfe],
    &[0x7f, 0xff],
    &[0x80, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0xff],
];

/// How a valid request becomes another one.
#[derive(Clone, Copy)]
enum Harm {
    Cut,
    Change,
    Claim,
}

/// Sends harmed requests of every API.
struct Attacker<'a> {
    site: &'a Site,
    seed: &'a mut Seed,
    harm: Harm,
    sent: usize,
    answered: usize,
    failure: Option<NotPassed>,
}

fn cut(site: &Site, seed: &mut Seed) -> Outcome {
    attack(site, seed, Harm::Cut)
}

fn changed(site: &Site, seed: &mut Seed) -> Outcome {
    attack(site, seed, Harm::Change)
}

fn impossible_counts(site: &Site, seed: &mut Seed) -> Outcome {
    attack(site, seed, Harm::Claim)
}

fn attack(site: &Site, seed: &mut Seed, harm: Harm) -> Outcome {
    let mut attacker = Attacker { site, seed, harm, sent: 0, answered: 0, failure: None };
    each_api(&mut attacker);
    let Attacker { sent, answered, failure, .. } = attacker;
    failure.map_or(Ok(format!("{sent} requests, {answered} answered")), Err)
}

impl EachApi for Attacker<'_> {
    fn api<R: Request>(&mut self) {
        for version in R::SERVED.min..=R::SERVED.max {
            if self.failure.is_none()
                && let Err(failure) = self.version::<R>(version)
            {
                self.failure = Some(failure);
            }
        }
    }
}

impl Attacker<'_> {
    fn version<R: Request>(&mut self, version: i16) -> Result<(), NotPassed> {
        let times = match self.harm {
            Harm::Cut => CUTS,
            Harm::Change => CHANGES,
            Harm::Claim => CLAIMS,
        };
        for _ in 0..times {
            let body: R = message(self.seed, version);
            let frame = encode_request(version, 1, Some("hostile"), &body)?;
            let valid = frame.into_bytes().unwrap_or_default().slice(PREFIX..);
            let harmed = self.harm(&valid);
            self.sent += 1;
            self.exchange::<R>(version, &valid, &harmed).map_err(|failure| match failure {
                NotPassed::Failed(why) => {
                    NotPassed::Failed(format!("{} {version}: {why}; sent {harmed:02x?}", R::NAME))
                }
                skipped => skipped,
            })?;
        }
        Ok(())
    }

    /// A request's frame without its prefix, made worse.
    fn harm(&mut self, valid: &Bytes) -> Vec<u8> {
        let seed = &mut *self.seed;
        let mut bytes = valid.to_vec();
        match self.harm {
            Harm::Cut => bytes.truncate(1 + seed.below(valid.len() - 1)),
            Harm::Change => {
                for _ in 0..=seed.below(FLIPS_MAX) {
                    let at = seed.below(bytes.len());
                    bytes[at] = seed.next_u64() as u8;
                }
            }
            Harm::Claim => {
                let claim = HUGE[seed.below(HUGE.len())];
                let at = 8 + seed.below(bytes.len() - 8);
                let end = if seed.one_in(2) { at } else { bytes.len().min(at + claim.len()) };
                bytes.splice(at..end, claim.iter().copied());
            }
        }
        bytes
    }

    fn exchange<R: Request>(
        &mut self,
        version: i16,
        valid: &Bytes,
        harmed: &[u8],
    ) -> Result<(), NotPassed> {
        let may_be_silent = api(harmed).is_some_and(|api| {
            matches!(api, ApiKey::Fetch | ApiKey::Produce) && !matches!(self.harm, Harm::Cut)
        });
        let patience = if may_be_silent { PATIENCE_FOR_SILENCE } else { PATIENCE };
        let prefix = (harmed.len() as i32).to_be_bytes();
        let mut client = self.site.connect(patience)?;
        match (self.harm, answer(&mut client, &[&prefix[..], harmed].concat())?) {
            (Harm::Cut, found) => expect_closed(found, "cut"),
            (_, Answer::Closed) => Ok(()),
            (_, Answer::Silent) if may_be_silent => Ok(()),
            (_, Answer::Silent) => Err(NotPassed::Failed("neither answered nor closed".to_owned())),
            (_, Answer::Frame(frame)) => {
                self.answered += 1;
                // The same API and version as what was sent before the harm.
                let same = harmed.get(..4) == valid.get(..4);
                check_answer::<R>(version, same, harmed, frame)
            }
        }
    }
}

/// The API that a harmed request asks for.
fn api(request: &[u8]) -> Option<ApiKey> {
    request.first_chunk().and_then(|key| ApiKey::from_i16(i16::from_be_bytes(*key)))
}

fn check_answer<R: Request>(
    version: i16,
    same: bool,
    request: &[u8],
    frame: Bytes,
) -> Result<(), NotPassed> {
    let asked = request.get(4..8).and_then(correlation_id);
    if correlation_id(&frame) != asked {
        return Err(NotPassed::Failed(format!("the answer is not to {asked:?}")));
    }
    if same {
        decode_response::<R::Response>(frame, version)?;
    }
    Ok(())
}
