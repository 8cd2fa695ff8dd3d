//! Tokens and passwords: what an operator or an integrator logs in with where they show no certificate.
//!
//! Whoever makes a token sends its digest and nothing else: no record, fact or backup opens anything. Of 256 random
//! bits the digest may travel, so the front door compares by itself, and logins need no other service. What is kept of a
//! password stays here, and is shown to the front door when somebody logs in.

use contract::{
    Code, Refusal, event as words,
    login::{TOKENS_MAX, is_verifier, sha256},
    v1::{Login, LoginPassword, LoginToken, PutPassword, PutToken, RevokeToken, TokenMade, TokensRevoked},
};
use service::{Fault, Outcome};

use super::Situation;
use crate::{Settings, event, policy, state};

/// Begins the wake-ups for the end of a person's next token.
pub(super) const WAKE: &str = "login/";
/// Digits of the digest that name a token: too few to find another token with, enough to tell eight apart.
const NAME_DIGITS: usize = 12;

pub(super) fn put(s: &Situation<'_>, settings: &Settings, m: PutToken) -> Result<Outcome, Fault> {
    let sha256 = sha256("sha256", &m.sha256)?;
    policy::token_lifetime(m.expires_ms, s.now_ms, settings.token_lifetime_ms)?;
    policy::text("note", &m.note)?;
    let person = state::person(s.view, &m.kind, &m.id)?;
    if person.disabled {
        let message = format!("the account of `{}` is disabled", person.id);
        return Err(Refusal::new(Code::Precondition, message).at("id").into());
    }
    let mut login = state::login(s.view, &person)?;
    login.tokens.retain(|token| token.expires_ms > s.now_ms);
    let token = LoginToken {
        token_id: sha256[..NAME_DIGITS].to_owned(),
        sha256,
        made_at_ms: s.now_ms,
        made_by: s.actor.clone(),
        expires_ms: m.expires_ms,
        note: m.note,
    };
    has_room(&login, &token)?;
    login.tokens.push(token.clone());
    let mut outcome = saved(&login);
    event::token_made(&mut outcome, &login, &token);
    outcome.answer(TokenMade {
        token: Some(LoginToken {
            sha256: String::new(),
            ..token
        }),
        ..TokenMade::default()
    });
    Ok(outcome)
}

fn has_room(login: &Login, new: &LoginToken) -> Result<(), Refusal> {
    if login.tokens.iter().any(|token| token.token_id == new.token_id) {
        let message = "there is this token already; make another one";
        return Err(Refusal::new(Code::Exists, message).at("sha256"));
    }
    if login.tokens.len() < TOKENS_MAX {
        return Ok(());
    }
    let first = login.tokens.iter().map(|token| token.expires_ms).min();
    let first = words::rfc3339(first.unwrap_or_default());
    let message = format!(
        "`{}` has {TOKENS_MAX} tokens, which is the limit; take one back, or wait until {first}",
        login.id
    );
    Err(Refusal::new(Code::Limit, message))
}

pub(super) fn revoke(s: &Situation<'_>, m: &RevokeToken) -> Result<Outcome, Fault> {
    if m.all != m.token_id.is_empty() {
        let message = "name one token in `token_id`, or say `all`";
        return Err(Refusal::invalid("token_id", message).into());
    }
    let person = state::person(s.view, &m.kind, &m.id)?;
    let mut login = state::login(s.view, &person)?;
    login.tokens.retain(|token| token.expires_ms > s.now_ms);
    let is_meant = |token: &LoginToken| m.all || token.token_id == m.token_id;
    let (gone, rest): (Vec<_>, Vec<_>) = login.tokens.into_iter().partition(is_meant);
    if gone.is_empty() && !m.all {
        return Err(Refusal::not_found("token", &m.token_id).at("token_id").into());
    }
    let login = Login {
        tokens: rest,
        ..login
    };
    let mut outcome = Outcome::default();
    if !gone.is_empty() {
        outcome = saved(&login);
        let ids: Vec<_> = gone.iter().map(|token| token.token_id.clone()).collect();
        event::token_revoked(&mut outcome, &login, &ids);
    }
    outcome.answer(TokensRevoked {
        revoked: u32::try_from(gone.len()).unwrap_or(u32::MAX),
        ..TokensRevoked::default()
    });
    Ok(outcome)
}

/// A token has ended. The front door looks at the end itself; here what is over is not kept.
pub(super) fn forget(s: &Situation<'_>, rest: &str) -> Result<Outcome, Fault> {
    let Some((kind, id)) = rest.split_once('/') else {
        return Ok(Outcome::default());
    };
    let Some(mut login) = s.view.load::<Login>(state::login_key(kind, id))? else {
        return Ok(Outcome::default());
    };
    login.tokens.retain(|token| token.expires_ms > s.now_ms);
    Ok(saved(&login))
}

/// `put-password`: in the place of any former one, whose sessions end.
pub(super) fn put_password(s: &Situation<'_>, m: PutPassword) -> Result<Outcome, Fault> {
    if !m.verifier.is_empty() && !is_verifier(&m.verifier) {
        let message = "a verifier is Argon2id in the PHC form, at the cost m=19456,t=2,p=1; empty takes the password away";
        return Err(Refusal::invalid("verifier", message).into());
    }
    let person = state::person(s.view, &m.kind, &m.id)?;
    let mut login = state::login(s.view, &person)?;
    login.tokens.retain(|token| token.expires_ms > s.now_ms);
    let former = login.password.take().map_or(0, |password| password.number);
    // Grows also after there was none for a while, unless the clock is set back by hand.
    let number = u64::try_from(s.now_ms).unwrap_or_default().max(former + 1);
    if !m.verifier.is_empty() {
        login.password = Some(LoginPassword {
            verifier: m.verifier,
            number,
            set_at_ms: s.now_ms,
            set_by: s.actor.clone(),
        });
    }
    let mut outcome = saved(&login);
    event::password_changed(&mut outcome, &login);
    outcome.answer(super::changed(&login.id, number));
    Ok(outcome)
}

/// The record, the fact, and the wake-up for what ends next.
fn saved(login: &Login) -> Outcome {
    let mut outcome = Outcome::default();
    let key = state::login_key(&login.kind, &login.id);
    match login.tokens.is_empty() && login.password.is_none() {
        true => outcome.delete(key),
        false => outcome.put(key, login),
    }
    let wake = format!("{WAKE}{}/{}", login.kind, login.id);
    match login.tokens.iter().map(|token| token.expires_ms).min() {
        Some(next) => outcome.wake_at(wake, next),
        None => outcome.no_wake(wake),
    }
    event::login_fact(&mut outcome, login);
    outcome
}
