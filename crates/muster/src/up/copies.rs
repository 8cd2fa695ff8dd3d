//! Copies of a running service's database, for whoever owns its folder: over a socket that lies there.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt, unix::net::UnixStream as Stream},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use store::copy::{self, Tapped};
use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

/// The socket's name in a service's folder.
pub(crate) const SOCKET: &str = "copy.sock";
/// The longest path that a socket's address holds on each system.
const ADDRESS_BYTES: usize = 100;
/// Whoever takes nothing for so long is given up: what is written meanwhile grows.
const TAKES: Duration = Duration::from_secs(60);
/// How long all databases together may take until they are cut.
const CUTS: Duration = Duration::from_secs(6 * 3600);

/// Where the store that a service has open is found.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Weak<Tapped>>>);

impl Shelf {
    pub(super) fn put(&self, store: &Arc<Tapped>) {
        *self.0.lock() = Arc::downgrade(store);
    }

    /// The store, if it is open.
    pub(super) fn open(&self) -> Option<Arc<Tapped>> {
        self.take().upgrade()
    }

    fn take(&self) -> Weak<Tapped> {
        self.0.lock().clone()
    }
}

/// Gives copies until it is dropped.
pub(super) struct Desk {
    listens: Option<tokio::task::JoinHandle<()>>,
    path: PathBuf,
}

impl Desk {
    /// Opens it in a service's folder. A service without one serves all the same.
    pub(super) fn open(folder: PathBuf, shelf: Shelf) -> Desk {
        let path = folder.join(SOCKET);
        let listens = match listen(&folder, &path) {
            Ok(listener) => Some(tokio::spawn(serve(listener, folder, shelf))),
            Err(error) => {
                warn!(path = %path.display(), %error, "no backup can be made while this service runs");
                None
            }
        };
        Desk { listens, path }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(listens) = self.listens.take() {
            listens.abort();
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn listen(folder: &Path, path: &Path) -> io::Result<UnixListener> {
    // Of a process that was killed: the folder is ours now.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = addressed(folder, |address| UnixListener::bind(address))?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A socket's address in a folder: an address is short, a path may be long.
fn addressed<T>(folder: &Path, use_it: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = folder.join(SOCKET);
    if path.as_os_str().len() <= ADDRESS_BYTES {
        return use_it(&path);
    }
    let open = File::open(folder)?;
    use_it(&PathBuf::from(format!(
        "/proc/self/fd/{}/{SOCKET}",
        open.as_raw_fd()
    )))
}

async fn serve(listener: UnixListener, folder: PathBuf, shelf: Shelf) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = begin(stream, folder.clone(), shelf.take()) {
                    warn!(%error, "a copy was asked for and not begun");
                }
            }
            Err(error) => {
                warn!(%error, "copies cannot be asked for at the moment");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// On a thread of its own, which the end of the process ends.
fn begin(stream: UnixStream, folder: PathBuf, store: Weak<Tapped>) -> io::Result<()> {
    let who = stream.peer_cred()?.uid();
    let me = rustix::process::geteuid().as_raw();
    if who != me && who != 0 {
        return Err(io::Error::other(format!(
            "by user {who}, to whom the folder does not belong"
        )));
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(TAKES))?;
    stream.set_read_timeout(Some(CUTS))?;
    std::thread::Builder::new().name("copy".to_owned()).spawn(move || {
        match copy::send(&store, &folder, &stream, &stream) {
            Ok(copied) => {
                info!(folder = %folder.display(), rows = copied.rows, writes = copied.writes, "copied for a backup");
            }
            Err(error) => warn!(folder = %folder.display(), %error, "a copy for a backup ended early"),
        }
    })?;
    Ok(())
}

/// Asks the service that runs on a folder for a copy.
pub(crate) fn connect(folder: &Path) -> io::Result<Stream> {
    addressed(folder, |address| Stream::connect(address))
}
