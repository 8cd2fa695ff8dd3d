//! `muster person password`

use std::{
    fs::File,
    io::{IsTerminal, Read, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::{
    Id,
    id::{Kind, ServiceName},
    login::{PASSWORD_CHARS_MIN, PRESENTED_BYTES, TOKEN_PREFIX},
    v1::{Changed, PutPassword},
};
use zeroize::Zeroizing;

use super::{
    Global,
    confirm::{Confirm, Consent},
    print, words,
};
use crate::{
    exit::{Exit, Failure},
    prompt,
};

/// Of a file no more is read than that.
const FILE_BYTES: u64 = 4 * 1024;

#[derive(clap::Args)]
pub(super) struct Password {
    /// What they are
    #[arg(value_parser = words::person())]
    kind: Kind,
    /// Their id
    id: Id,
    /// Read it from the first line of this file; `-` is the standard input
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    password_file: Option<PathBuf>,
    /// Take the password away
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Password {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let owner = format!("{}/{}", self.kind.word(), self.id);
        let verifier = match self.remove {
            true => {
                let what = format!("take the password of {owner} away");
                let Consent::Given = self.confirm.ask(global, &what)? else {
                    return Ok(());
                };
                String::new()
            }
            false => self.verifier(&owner)?,
        };
        let request = PutPassword {
            request_id: String::new(),
            kind: self.kind.word().to_owned(),
            id: self.id.to_string(),
            verifier,
        };
        let changed: Changed = global.ask(ServiceName::Registry, "put-password", &request)?;
        if global.json {
            return print::json(&changed);
        }
        let what = if self.remove {
            "no password any more"
        } else {
            "another password"
        };
        print::line(format!("{owner} has {what}"))
    }

    fn verifier(&self, owner: &str) -> Result<String> {
        let password = match &self.password_file {
            Some(path) => first_line(path)?,
            None => ask(owner)?,
        };
        check(&password)?;
        pki::password_verifier(password.as_bytes())
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()).into())
    }
}

fn ask(owner: &str) -> Result<Zeroizing<String>> {
    if !stdin().is_terminal() {
        let message =
            "there is no terminal to ask on: give --password-file FILE, or `-` for the standard input";
        return Err(Failure::usage(message).into());
    }
    let first = prompt::secret(&format!("Password of {owner}: "))?;
    let second = prompt::secret("The same again: ")?;
    if first != second {
        return Err(Failure::usage("the two passwords differ").into());
    }
    Ok(first)
}

fn first_line(path: &Path) -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = match path == Path::new("-") {
        true => stdin().take(FILE_BYTES).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("the password in {} is no text", path.display())))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Long enough not to be guessed, and not mistaken for a token.
fn check(password: &str) -> Result<(), Failure> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        let message = format!("a password has at least {PASSWORD_CHARS_MIN} characters; four words will do");
        return Err(Failure::usage(message));
    }
    if password.len() > PRESENTED_BYTES {
        return Err(Failure::usage(format!(
            "a password has at most {PRESENTED_BYTES} bytes"
        )));
    }
    if password.starts_with(TOKEN_PREFIX) {
        let message = format!("what begins with `{TOKEN_PREFIX}` is taken for a token");
        return Err(Failure::usage(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_enough_and_no_token() {
        for good in ["four words will do", "äöüäöüäöüäöüäöü"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "x".repeat(PRESENTED_BYTES + 1);
        for bad in ["", "fourteen chars", "mst_aaaaaaaaaaaaaaaaaaaa", &long] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_made_here_is_what_the_registry_takes() {
        let verifier = pki::password_verifier(b"four words will do").unwrap();
        assert!(contract::login::is_verifier(&verifier), "{verifier}");
    }

    #[test]
    fn the_first_line_of_a_file_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "four words will do\r\nand no more\n").unwrap();
        assert_eq!(*first_line(&file).unwrap(), "four words will do");
        assert!(first_line(&folder.path().join("none")).is_err());
        std::fs::write(&file, [0xFF, 0xFE]).unwrap();
        assert!(first_line(&file).is_err());
    }
}
