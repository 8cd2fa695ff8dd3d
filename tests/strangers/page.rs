//! A page of the documents as its reader would type it, beside an installation in `muster-data`.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use world::{World, cargo_output, free_port, pages, repository};

/// How long one program may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a page gives a listener time to subscribe, it is waited for here.
const SLEEP: &str = r#"
sleep() {
  if [ "$1" != 2 ]; then command sleep "$1"; return; fi
  for _ in {1..300}; do
    muster --json broker clients --kind integrator | grep -q '"subscriptions": *[1-9]' && return
    command sleep 0.2
  done
}
"#;

/// The page, for one installation.
pub(crate) struct Page {
    text: String,
    folder: tempfile::TempDir,
    port: u16,
}

impl Page {
    /// The page, with the installation's port in place of its own.
    pub(crate) fn of(world: &World, page: &str) -> Page {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let port = world.endpoint().port;
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(world.folder(), folder.path().join("muster-data")).unwrap();
        Page {
            text: text.replace("8883", &port.to_string()),
            folder,
            port,
        }
    }

    /// With another port of the page's on one that is free.
    pub(crate) fn elsewhere(self, port: &str) -> Page {
        let (there, here) = (format!(":{port}"), format!(":{}", free_port()));
        assert!(self.text.contains(&there));
        Page {
            text: self.text.replace(&there, &here),
            ..self
        }
    }

    /// Where it is typed.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let programs = cargo_output("muster").parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path)));
        command
            .current_dir(self.folder())
            .env("PATH", path.unwrap())
            .env("MUSTER_SERVER", format!("127.0.0.1:{}", self.port))
            .env("NODE_PATH", repository().join("target/node/node_modules"))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            // A group of its own, so that what runs in the background ends with it.
            .process_group(0);
        command
    }

    /// Types the commands in one shell; what it said.
    pub(crate) fn typed(&self) -> String {
        let script = self.folder().join("typed.sh");
        let commands = pages::blocks(&self.text, "sh").join("\n");
        // A listener whose time is up ends with a code of its own; what was said is looked at.
        std::fs::write(
            &script,
            format!("{SLEEP}set -v\nexec 2>&1\n{commands}\nkill $(jobs -p)\n"),
        )
        .unwrap();
        let output = self
            .command("timeout")
            .args(["300", "bash"])
            .arg(&script)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // As `timeout` tells that it had to end it.
        assert_ne!(
            output.status.code(),
            Some(124),
            "the page comes to no end:\n{said}"
        );
        said
    }

    /// Runs the only program in a language, until it prints these words.
    pub(crate) fn runs(&self, language: &str, interpreter: &Path, words: &str) {
        let [program] = &pages::blocks(&self.text, language)[..] else {
            panic!("one block of {language}");
        };
        let file = self.folder().join(format!("page.{language}"));
        std::fs::write(&file, program).unwrap();
        let mut command = self.command(interpreter);
        // Python's output would wait in a buffer.
        until_it_says(command.arg(&file).env("PYTHONUNBUFFERED", "1"), words);
    }

    /// Runs the program in Rust, which is built as an example of these tests.
    pub(crate) fn runs_rust(&self, words: &str) {
        let source = std::fs::read_to_string(repository().join("tests/examples/rumqttc_device.rs")).unwrap();
        let (_, shown) = source.split_once("// the page begins here\n").unwrap();
        let shown = shown.replace("8883", &self.port.to_string());
        assert_eq!(
            pages::blocks(&self.text, "rust"),
            [shown],
            "the page shows another program"
        );
        let mut command = self.command(cargo_output("examples/rumqttc_device"));
        until_it_says(command.arg(self.port.to_string()), words);
    }
}

fn until_it_says(command: &mut Command, words: &str) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        out.lines()
            .map_while(Result::ok)
            .try_for_each(|line| tell.send(line))
    });
    let (end, mut said) = (Instant::now() + PATIENCE, String::new());
    let found = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => said = said + &line + "\n",
            Err(_) => break false,
        }
        if said.contains(words) {
            break true;
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    println!("{said}");
    assert!(found, "{command:?} does not say `{words}`:\n{said}");
}
