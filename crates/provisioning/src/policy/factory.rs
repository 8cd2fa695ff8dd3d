//! Which device a factory certificate opens.

use contract::{
    Code, Refusal, limits,
    v1::{DeviceFact, FactoryCertificate, Manufacturer},
};

/// One sentence for all that keeps a factory certificate from opening a device, but the device's type.
pub(crate) fn not_opened_by_factory(why: impl Into<String>) -> Refusal {
    let message = "this factory certificate does not open this device: the device must be registered with the serial \
                   number in it, and the certificate must have opened no other";
    Refusal::new(Code::Denied, message).because(why)
}

/// What names the device in a factory certificate that counts.
pub(crate) fn named_by_factory<'a>(
    manufacturer: &Manufacturer,
    shown: &'a FactoryCertificate,
) -> Result<&'a str, Refusal> {
    let name = manufacturer.device_in(shown);
    let name = name.ok_or_else(|| not_opened_by_factory("nothing in the certificate names a device"))?;
    match manufacturer.refuses(name) {
        true => Err(not_opened_by_factory(format!(
            "the certificate of `{name}` is refused"
        ))),
        false => Ok(name),
    }
}

/// Whether the device is registered as what its manufacturer says it is. Serial numbers differ in more than case: the
/// registry lets no two living devices share one that is folded.
pub(crate) fn built_as(
    known: Option<&DeviceFact>,
    manufacturer: &Manufacturer,
    name: &str,
) -> Result<(), Refusal> {
    let known = known.filter(|device| device.serial_number.eq_ignore_ascii_case(name));
    let known = known.ok_or_else(|| {
        not_opened_by_factory(format!(
            "the device is not registered with the serial number `{name}`"
        ))
    })?;
    if manufacturer.types.is_empty() || manufacturer.types.contains(&known.device_type) {
        return Ok(());
    }
    let message = format!(
        "the manufacturer `{}` is trusted for devices of other types than this one's",
        manufacturer.name
    );
    Err(Refusal::new(Code::Denied, message))
}

/// What names a device in a factory certificate, as an operator writes it.
pub(crate) fn factory_name(text: &str) -> Result<&str, Refusal> {
    let is_printable = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    match (1..=limits::ID_CHARS).contains(&text.len()) && is_printable {
        true => Ok(text),
        false => Err(Refusal::invalid(
            "serial_number",
            "a serial number has 1 to 64 printable ASCII characters",
        )),
    }
}
