//! `muster person token`, `tokens` and `revoke-token`

use anyhow::Result;
use contract::{
    Id,
    id::{Kind, ServiceName},
    login::{TOKEN_BYTES, TOKEN_PREFIX, token_digest},
    v1::{ListTokens, LoginToken, PutToken, RevokeToken, TokenMade, TokensListed, TokensRevoked},
};
use data_encoding::BASE64URL_NOPAD;
use rand::{TryRngCore, rngs::OsRng};
use zeroize::Zeroizing;

use super::{
    Global,
    cert::{FORMS, When},
    confirm::{Confirm, Consent},
    print, words,
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(super) struct Make {
    #[command(flatten)]
    whose: Whose,
    /// How long it opens, 31 days at most
    #[arg(long = "for", default_value = "12h", value_name = FORMS)]
    expires: When,
    /// What it is for
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    whose: Whose,
}

#[derive(clap::Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    whose: Whose,
    /// Which, as `muster person tokens` names it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    token: Option<String>,
    /// All of this person's tokens
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
struct Whose {
    /// What they are
    #[arg(value_parser = words::person())]
    kind: Kind,
    /// Their id
    id: Id,
}

impl Make {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let token = fresh()?;
        let request = PutToken {
            request_id: String::new(),
            kind: self.whose.kind(),
            id: self.whose.id.to_string(),
            sha256: hex::encode(token_digest(token.as_bytes())),
            expires_ms: self.expires.ms(),
            note: self.note,
        };
        let made: TokenMade = global.ask(ServiceName::Registry, "put-token", &request)?;
        let made = made.token.unwrap_or_default();
        let user_name = format!("{}/{}", request.kind, request.id);
        if global.json {
            return print::json(&serde_json::json!({
                "user_name": user_name,
                "token_id": made.token_id,
                "token": token.as_str(),
                "expires_ms": made.expires_ms.to_string(),
            }));
        }
        print::fields(&[
            ("user name", user_name),
            ("token", token.to_string()),
            ("id", made.token_id),
            ("expires", print::time(made.expires_ms)),
        ])?;
        print::note("this is the only time that the token is shown; whoever has it is this person");
        Ok(())
    }
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ListTokens {
            request_id: String::new(),
            kind: self.whose.kind(),
            id: self.whose.id.to_string(),
        };
        let listed: TokensListed = global.ask(ServiceName::Registry, "tokens", &request)?;
        if global.json {
            return listed.tokens.iter().try_for_each(print::json);
        }
        if listed.password != 0 {
            let since = print::time(listed.password_set_at_ms);
            print::note(format!("there is a password too, since {since}"));
        }
        let rows = listed.tokens.iter().map(row).collect();
        print::table(&["id", "expires", "made", "by", "note"], rows)
    }
}

impl Revoke {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let owner = format!("{}/{}", self.whose.kind(), self.whose.id);
        let what = match &self.token {
            Some(token) => format!("take back token {token} of {owner}"),
            None => format!("take back all tokens of {owner}"),
        };
        let Consent::Given = self.confirm.ask(global, &what)? else {
            return Ok(());
        };
        let request = RevokeToken {
            request_id: String::new(),
            kind: self.whose.kind(),
            id: self.whose.id.to_string(),
            token_id: self.token.unwrap_or_default(),
            all: self.all,
        };
        let revoked: TokensRevoked = global.ask(ServiceName::Registry, "revoke-token", &request)?;
        if global.json {
            return print::json(&revoked);
        }
        print::line(format!("{owner}: {} token(s) taken back", revoked.revoked))
    }
}

impl Whose {
    fn kind(&self) -> String {
        self.kind.word().to_owned()
    }
}

fn row(token: &LoginToken) -> Vec<String> {
    vec![
        token.token_id.clone(),
        print::time(token.expires_ms),
        print::time(token.made_at_ms),
        token.made_by.clone(),
        token.note.clone(),
    ]
}

fn fresh() -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    OsRng
        .try_fill_bytes(&mut *bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("no randomness: {error}")))?;
    let secret = Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes));
    Ok(Zeroizing::new(format!("{TOKEN_PREFIX}{}", *secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_new_each_time_and_known_for_one() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with(TOKEN_PREFIX));
        assert_eq!(one.len(), TOKEN_PREFIX.len() + 43);
    }
}
