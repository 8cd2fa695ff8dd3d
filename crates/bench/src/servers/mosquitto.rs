//! The peer: Mosquitto on two loopback ports, writing nothing to disk, with every limit lifted.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Place, Process};

const PATIENCE: Duration = Duration::from_secs(5);

/// A running Mosquitto.
pub(crate) struct Mosquitto {
    pub(crate) process: Process,
    pub(crate) place: Place,
}

/// Where the server's certificate, its key and the clients' roots lie.
pub(crate) struct TlsFiles {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) roots: PathBuf,
}

impl Mosquitto {
    /// Starts it, with its configuration in `folder`.
    pub(crate) fn start(program: &Path, folder: &Path, tls: &TlsFiles) -> Result<Mosquitto> {
        fs::create_dir_all(folder)?;
        let place = Place {
            plain: free_address()?,
            tls: free_address()?,
        };
        let config = folder.join("mosquitto.conf");
        fs::write(&config, config_text(place, tls, &folder.join("access")))?;
        fs::write(folder.join("access"), ACCESS)?;
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut mosquitto = Mosquitto {
            process: Process::spawn("mosquitto", &mut command)?,
            place,
        };
        mosquitto.await_listeners()?;
        Ok(mosquitto)
    }

    fn await_listeners(&mut self) -> Result<()> {
        let begun = Instant::now();
        for address in [self.place.plain, self.place.tls] {
            while TcpStream::connect(address).is_err() {
                self.process.check()?;
                if begun.elapsed() > PATIENCE {
                    bail!("mosquitto does not listen on {address}");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

/// What is measured, in its own words.
pub(crate) fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("-h").output().with_context(|| {
        format!(
            "{} does not start; install it (`apt-get install mosquitto`) or give its path with --mosquitto",
            program.display()
        )
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or("mosquitto").to_owned())
}

/// Who may publish and read what, in Mosquitto's words: without TLS the user name is `devices/d-1`, with TLS it is the
/// certificate's common name, `d-1`.
const ACCESS: &str = "pattern write muster/v1/%u/up/#\npattern write muster/v1/devices/%u/up/#\n\
                      pattern read muster/v1/%u/down/#\npattern read muster/v1/devices/%u/down/#\n\
                      pattern read muster/v1/+/+/up/#\n";

/// `user root` matters only when started by root: Mosquitto would become a user that cannot read the key.
fn config_text(place: Place, tls: &TlsFiles, access: &Path) -> String {
    format!(
        "per_listener_settings false\nallow_anonymous true\nuser root\npersistence false\nlog_dest none\n\
         set_tcp_nodelay true\nmax_inflight_messages 0\nmax_queued_messages 0\nacl_file {}\n\n\
         listener {} 127.0.0.1\n\n\
         listener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nuse_identity_as_username true\n",
        access.display(),
        place.plain.port(),
        place.tls.port(),
        tls.roots.display(),
        tls.chain.display(),
        tls.key.display(),
    )
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
