//! Listening, and welcoming connections. Every shard listens on every address; the kernel spreads
//! connections over them.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelog_os::ring::Readiness;
use corelog_os::{SharedFd, net};
use glommio::Task;
use rustix::net::{Shutdown, shutdown};

use crate::budget::Budget;
use crate::bulk::Bulk;
use crate::clock::Clock;
use crate::connection::{Connection, SCRATCH};
use crate::disk::Disk;
use crate::error::RunError;
use crate::pulse::Pulse;
use crate::registry::Registry;
use crate::serve::{End, Server};
use crate::service::Service;
use crate::tasks::Tasks;
use crate::timers::Timers;

/// Connections that wait to be accepted, for each listener.
const BACKLOG: u32 = 1024;

/// How often, and how long between, an address that is in use is tried again.
const BIND_TRIES: u32 = 100;
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// How long to wait before accepting again when descriptors have run out.
const OUT_OF_DESCRIPTORS_MS: u64 = 100;

/// Refuses addresses that somebody listens on. The shards' own sockets share their port, and would
/// share it with another broker's too.
pub(crate) fn check_free(addresses: &[SocketAddr]) -> Result<(), RunError> {
    for address in addresses.iter().filter(|address| address.port() != 0) {
        bind_once(address).map_err(|error| RunError::Bind { address: *address, error })?;
    }
    Ok(())
}

/// After `kill -9` the kernel takes a while to let go of sockets that a ring still waits for.
fn bind_once(address: &SocketAddr) -> io::Result<()> {
    let mut tries = BIND_TRIES;
    loop {
        match TcpListener::bind(address) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() != ErrorKind::AddrInUse || tries == 0 => return Err(error),
            Err(_) => std::thread::sleep(BIND_PAUSE),
        }
        tries -= 1;
    }
}

/// Listens on every address once for each shard; the first listener of an address decides its port.
/// Answers the listeners by shard.
pub(crate) fn listen(
    addresses: &mut [SocketAddr],
    shards: usize,
) -> Result<Vec<Vec<OwnedFd>>, RunError> {
    let mut listeners: Vec<Vec<OwnedFd>> = (0..shards).map(|_| Vec::new()).collect();
    for address in addresses {
        for of_shard in &mut listeners {
            let listener = net::listen(*address, BACKLOG).and_then(|listener| {
                *address = net::local_address(&listener)?;
                Ok(listener)
            });
            let listener = listener.map_err(|error| RunError::Bind { address: *address, error })?;
            of_shard.push(listener);
        }
    }
    Ok(listeners)
}

/// What all connections of a shard share.
pub(crate) struct Net<S> {
    pub(crate) service: Rc<S>,
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) bulk: Bulk,
    pub(crate) budget: Arc<Budget>,
    pub(crate) registry: Rc<Registry>,
    pub(crate) tasks: Rc<Tasks>,
    pub(crate) timers: Rc<Timers>,
    pub(crate) clock: Clock,
    pub(crate) max_frame_bytes: u32,
    pub(crate) listeners: Vec<SharedFd>,
    pub(crate) scratch: Rc<RefCell<Vec<u8>>>,
}

/// Memory that connections receive into, one at a time.
pub(crate) fn scratch() -> Rc<RefCell<Vec<u8>>> {
    Rc::new(RefCell::new(vec![0; SCRATCH]))
}

impl<S: Service> Net<S> {
    /// Starts to accept. The tasks are to be cancelled in the end.
    pub(crate) fn start(self: &Rc<Self>) -> Vec<Task<()>> {
        let accept = |listener: &SharedFd| self.clone().accept_all(listener.clone());
        let mut tasks: Vec<_> =
            self.listeners.iter().map(accept).map(|task| self.tasks.spawn(task)).collect();
        tasks.push(self.tasks.spawn(self.registry.clone().watch()));
        tasks
    }

    /// Accepts no more, and asks the connections that are there to end.
    pub(crate) fn drain(&self) {
        self.registry.drain();
        for listener in &self.listeners {
            // Ends the wait for it too. A listener that cannot be shut down accepts nobody.
            let _ = shutdown(listener, Shutdown::Both);
        }
    }

    async fn accept_all(self: Rc<Self>, listener: SharedFd) {
        while !self.registry.is_draining() {
            match net::accept(&listener) {
                Ok((socket, peer)) => {
                    self.welcome(socket, peer);
                    self.tasks.yield_if_needed().await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let readable =
                        self.disk.borrow_mut().ready(listener.clone(), Readiness::Readable);
                    // Whatever it came to, accepting tells.
                    let _ = readable.await;
                }
                Err(_) if self.registry.is_draining() => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.timers.after_ms(OUT_OF_DESCRIPTORS_MS).await;
                }
            }
        }
    }

    fn welcome(self: &Rc<Self>, socket: OwnedFd, peer: SocketAddr) {
        match self.connect(socket, peer) {
            Ok(true) => {}
            Ok(false) => tracing::warn!(%peer, "refused a connection: too many"),
            Err(error) => tracing::warn!(%peer, %error, "cannot serve a connection"),
        }
    }

    /// Starts a connection's task; whether there was a place for it.
    fn connect(self: &Rc<Self>, socket: OwnedFd, peer: SocketAddr) -> io::Result<bool> {
        net::set_nodelay(&socket)?;
        let local = net::local_address(&socket)?;
        let socket: SharedFd = Arc::new(socket);
        let pulse = Rc::new(Pulse::new(socket.clone(), self.clock));
        let Some(registered) = self.registry.enter(pulse.clone()) else { return Ok(false) };
        let connection = Connection {
            session: self.service.connect(peer, local),
            server: Server {
                socket,
                disk: self.disk.clone(),
                bulk: self.bulk.clone(),
                pulse,
                tasks: self.tasks.clone(),
            },
            budget: self.budget.clone(),
            max_frame_bytes: self.max_frame_bytes,
            scratch: self.scratch.clone(),
        };
        let task = async move {
            let _registered = registered;
            match connection.serve().await {
                Ok(()) => {}
                Err(End::Peer(error)) => tracing::debug!(%peer, %error, "lost a connection"),
                Err(End::Close(why)) => tracing::info!(%peer, why = %why.0, "closed a connection"),
            }
        };
        self.tasks.spawn(task).detach();
        Ok(true)
    }
}
