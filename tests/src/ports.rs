//! Ports that no two tests are given.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    sync::Mutex,
};

use rand::Rng;

/// Ports below this stand in the documents, or belong to services by habit.
const FIRST: u16 = 20_000;
/// From here on Linux gives ports to whoever asks for any, unless it is told otherwise.
const ANYBODY: u16 = 32_768;

/// The locks of the ports that this process was given, held until it ends.
static GIVEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port that is free, and stays so while nobody listens there: no other test is given it while this process lives,
/// and the system gives it to nobody who asks for any port, neither to a server nor to a client that connects. So a
/// server can be killed and come back where it was.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("muster-test-ports");
    fs::create_dir_all(&folder).unwrap();
    let ports = FIRST..anybodys();
    let begin = rand::rng().random_range(ports.clone());
    let mut given = (begin..ports.end).chain(ports.start..begin);
    given.find(|port| take(&folder, *port)).unwrap_or_else(|| {
        panic!(
            "no port of {ports:?} is free, or {} is not ours",
            folder.display()
        )
    })
}

/// The first port that the system gives to anybody.
fn anybodys() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|word| word.parse().ok());
    // Where the system is told to give from lower down, the locks must do.
    first.filter(|first| *first > FIRST).unwrap_or(ANYBODY)
}

fn take(folder: &Path, port: u16) -> bool {
    let mut options = File::options();
    let Ok(lock) = options
        .create(true)
        .append(true)
        .open(folder.join(port.to_string()))
    else {
        return false;
    };
    // Somebody may listen there who is no test.
    let is_free = lock.try_lock().is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok();
    if is_free {
        GIVEN.lock().unwrap().push(lock);
    }
    is_free
}
