//! A client of good faith, served all the while: it produces and reads a batch, again and again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};
use corelog_tests::live::calls::{self, CallError, Limits, Place};
use corelog_tests::live::client::Client;
use corelog_wire::uuid::Uuid;

const PAUSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_wait_ms: 5_000 };

/// How it was served since it was last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served {
    pub(crate) times: usize,
    pub(crate) slowest: Duration,
    pub(crate) failure: Option<String>,
}

/// Stops when dropped.
pub(crate) struct Bystander {
    served: Arc<Mutex<Served>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn lock(served: &Mutex<Served>) -> MutexGuard<'_, Served> {
    served.lock().expect("no thread panics while it holds the lock")
}

/// A batch of one record.
pub(crate) fn batch(value: &[u8]) -> Bytes {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(NewRecord { value: Some(value), key: Some(b"key"), ..NewRecord::default() });
    batch.build().expect("far below 2 GiB")
}

impl Bystander {
    /// Works on partition 0 of a topic that nobody else uses.
    pub(crate) fn start(address: SocketAddr, topic: Uuid) -> Bystander {
        let (served, stop) = (Arc::<Mutex<Served>>::default(), Arc::<AtomicBool>::default());
        let thread = thread::spawn({
            let (served, stop) = (Arc::clone(&served), Arc::clone(&stop));
            move || {
                if let Err(error) = work(address, topic, &served, &stop) {
                    lock(&served).failure = Some(error.to_string());
                }
            }
        });
        Bystander { served, stop, thread: Some(thread) }
    }

    /// How it was served since the last call, at least once from now on.
    pub(crate) fn take(&self) -> Served {
        let before = lock(&self.served).times;
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            let mut served = lock(&self.served);
            // One that began before and one that began after now.
            if served.failure.is_some() || served.times > before + 1 {
                return std::mem::take(&mut *served);
            }
            drop(served);
            sleep(PAUSE);
        }
        let failure = Some(format!("not served for {PATIENCE:?}"));
        Served { failure, ..std::mem::take(&mut *lock(&self.served)) }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(
    address: SocketAddr,
    topic: Uuid,
    served: &Mutex<Served>,
    stop: &AtomicBool,
) -> Result<(), CallError> {
    let client = Client::connect(address, PATIENCE);
    let mut client = client.map_err(|error| CallError::Client(error.into()))?;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let batch = batch(b"good faith");
        let produce = || calls::produce(&mut client, topic, 0, batch.clone());
        let offset = calls::eventually(PATIENCE, produce)?;
        let place = Place { topic, partition: 0, offset };
        let data = calls::fetch(&mut client, place, LIMITS)?;
        let read = data.records.as_ref().and_then(|records| records.as_bytes());
        if read.is_none_or(|read| read.get(16..) != Some(&batch[16..])) {
            return Err(CallError::Missing);
        }
        let took = began.elapsed();
        let mut served = lock(served);
        served.times += 1;
        served.slowest = served.slowest.max(took);
        drop(served);
        sleep(PAUSE);
    }
    Ok(())
}
