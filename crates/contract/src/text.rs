//! What free text may not hold.

/// Whether a character makes a text look other than it is: it steers a terminal (ANSI), or turns the direction of what
/// follows (Unicode's UAX 9, explicit formatting characters), so that a name reads as another one. Names and reasons hold
/// none; what is data (the values of attributes, notes) may turn the direction, and is not shown doing so.
///
/// ```
/// assert!(contract::text::misleads('\u{1b}') && contract::text::misleads('\u{202e}'));
/// assert!(!contract::text::misleads('ü') && !contract::text::misleads('م'));
/// ```
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
