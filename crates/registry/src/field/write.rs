//! How operators' texts become values.

use std::time::Duration;

use contract::{
    Code, Refusal,
    limits::TEXT_CHARS,
    names::said,
    v1::{Criticality, Device, Location, Money},
};

use super::table::{Form, Plain, Writer};
use crate::{choice::Choice, command, decide::put_type, lifecycle, policy};

/// Hardware addresses of one device.
const ADDRESSES_MAX: usize = 8;
/// The longest notes, characters.
const NOTES_CHARS: usize = 2048;
/// The dearest device: a billion.
const CENTS_MAX: i64 = 100_000_000_000;

/// Writes a field of the table; an empty text removes what is there.
pub(super) fn plain(device: &mut Device, plain: &Plain, text: &str) -> Result<(), Refusal> {
    let at = |refusal: Refusal| refusal.at(plain.name);
    match plain.writer {
        Writer::Nobody => {
            let message = format!("`{}` is not written by operators", plain.name);
            return Err(Refusal::new(Code::Denied, message).at(plain.name));
        }
        Writer::Text(form, slot) => *slot(device) = form.read(text).map_err(at)?,
        Writer::Criticality => device.set_criticality(criticality(text).map_err(at)?),
        Writer::Addresses => device.addresses = addresses(text).map_err(at)?,
        Writer::Commands => device.commands = put_type::commands(words(text))?,
        Writer::SignedCommands => device.signed_commands = put_type::signed_commands(words(text))?,
        Writer::CommandDeadline => device.commands_within_ms = command_deadline(text).map_err(at)?,
        Writer::Price => device.price = price(text).map_err(at)?,
        Writer::Latitude => position(device).latitude = degrees(text, 90.0).map_err(at)?,
        Writer::Longitude => position(device).longitude = degrees(text, 180.0).map_err(at)?,
    }
    Ok(())
}

/// The refusal of a second value.
pub(super) fn is_once(device: &Device, name: &str) -> Refusal {
    let message =
        format!("`{name}` belongs to the device's identity and is set once; the device is no longer planned");
    Refusal {
        present_version: device.version,
        ..lifecycle::refusal(device, &message)
    }
    .at(name)
}

fn position(device: &mut Device) -> &mut Location {
    device.position.get_or_insert_default()
}

impl Form {
    fn read(self, text: &str) -> Result<String, Refusal> {
        if text.is_empty() {
            return Ok(String::new());
        }
        match self {
            Form::Line => policy::text("", text)?,
            Form::Notes => notes(text)?,
            Form::Id => {
                policy::id("", text)?;
            }
            Form::Day => {
                day(text).ok_or_else(|| Refusal::invalid("", "a date is written as 2026-01-31"))?;
            }
            Form::Digest => return digest(text),
        }
        Ok(text.to_owned())
    }
}

/// The beginning of a day, UTC, in milliseconds since 1970.
pub(crate) fn day(text: &str) -> Option<i64> {
    if text.len() != 10 {
        return None;
    }
    let time = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

fn notes(text: &str) -> Result<(), Refusal> {
    if text.chars().count() > NOTES_CHARS {
        let message = format!("notes may have {NOTES_CHARS} characters");
        return Err(Refusal::new(Code::TooLarge, message));
    }
    if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        let message = "notes have no control characters other than newline and tab";
        return Err(Refusal::invalid("", message));
    }
    Ok(())
}

fn digest(text: &str) -> Result<String, Refusal> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        let message = "a fingerprint is the SHA-256 of the public key, 64 hex digits";
        return Err(Refusal::invalid("", message));
    }
    Ok(digits.to_ascii_lowercase())
}

fn criticality(text: &str) -> Result<Criticality, Refusal> {
    let folded = text.to_ascii_lowercase();
    let named =
        |value: &&Criticality| said(value.name()) == folded || value.name().eq_ignore_ascii_case(text);
    Criticality::ALL.iter().find(named).copied().ok_or_else(|| {
        let words = Criticality::ALL.iter().map(|value| said(value.name()));
        Refusal::invalid("", "there is no such criticality").allowing(words)
    })
}

/// Reads `129.50 EUR` exactly.
pub(crate) fn price(text: &str) -> Result<Option<Money>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (amount, currency) = text.split_once(' ')?;
        let (whole, part) = amount.split_once('.').unwrap_or((amount, "00"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let known = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        if !known || !digits(whole) || !digits(part) || part.len() > 2 {
            return None;
        }
        let part: i64 = format!("{part:0<2}").parse().ok()?;
        let cents = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part)?;
        let currency = currency.to_owned();
        (cents <= CENTS_MAX).then_some(Money { currency, cents })
    };
    let message = "a price is written as `129.50 EUR`, up to a billion";
    read().map(Some).ok_or_else(|| Refusal::invalid("", message))
}

/// Reads `10m`, and seconds, as which it is read back.
fn command_deadline(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() {
        return Ok(0);
    }
    let seconds = || Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let time = humantime::parse_duration(text).ok().or_else(seconds);
    let ms = time.and_then(|time| u64::try_from(time.as_millis()).ok());
    let message = "a time is written as `10m`, or in seconds";
    let ms = ms
        .filter(|ms| *ms > 0)
        .ok_or_else(|| Refusal::invalid("", message))?;
    command::rule_within(ms)
}

fn degrees(text: &str, bound: f64) -> Result<f64, Refusal> {
    if text.is_empty() {
        return Ok(0.0);
    }
    let within = |degrees: &f64| degrees.is_finite() && degrees.abs() <= bound;
    let message = format!("degrees lie between -{bound} and {bound}");
    let degrees = text.parse().ok().filter(within);
    degrees.ok_or_else(|| Refusal::invalid("", message))
}

/// What is separated by blanks, commas or semicolons.
fn words(text: &str) -> Vec<String> {
    let words = text.split([' ', ',', ';']).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Hardware addresses in their one form, in order.
fn addresses(text: &str) -> Result<Vec<String>, Refusal> {
    let parts = words(text);
    let mut addresses = parts
        .iter()
        .map(|part| address(part))
        .collect::<Result<Vec<_>, _>>()?;
    addresses.sort();
    addresses.dedup();
    if addresses.len() > ADDRESSES_MAX {
        let message = format!("a device may have {ADDRESSES_MAX} addresses");
        return Err(Refusal::new(Code::Limit, message));
    }
    Ok(addresses)
}

/// `mac:02:00:5e:10:00:01` however its digits are grouped, and its like.
fn address(text: &str) -> Result<String, Refusal> {
    let normal = || {
        if text.len() > TEXT_CHARS {
            return None;
        }
        let (kind, rest) = text.split_once(':')?;
        let digits: String = rest.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
        let digits = digits.to_ascii_lowercase();
        let all = |test: fn(&u8) -> bool| digits.bytes().all(|b| test(&b));
        let (hex, lengths) = match kind {
            "mac" => (true, 12..=12),
            "eui64" => (true, 16..=16),
            "imei" => (false, 15..=15),
            "iccid" => (false, 18..=22),
            _ => return None,
        };
        let fits = if hex {
            all(u8::is_ascii_hexdigit)
        } else {
            all(u8::is_ascii_digit)
        };
        if !fits || !lengths.contains(&digits.len()) {
            return None;
        }
        let pairs: Vec<_> = digits.as_bytes().chunks(2).map(String::from_utf8_lossy).collect();
        let digits = if hex { pairs.join(":") } else { digits.clone() };
        Some(format!("{kind}:{digits}"))
    };
    let message = "an address is `mac:`, `eui64:`, `imei:` or `iccid:` and its digits";
    normal().ok_or_else(|| Refusal::invalid("", message))
}
