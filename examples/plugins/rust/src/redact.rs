//! Finds personal data by its form and, where it has them, by its check digits.

use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Email,
    Card,
    Iban,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Email, Kind::Card, Kind::Iban];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Card => "card",
            Kind::Iban => "iban",
        }
    }

    /// What begins at a byte, if it is of this kind.
    fn at(self, bytes: &[u8], start: usize) -> Option<usize> {
        match self {
            Kind::Email => email(bytes, start),
            Kind::Card => card(bytes, start),
            Kind::Iban => iban(bytes, start),
        }
    }
}

/// A place in a text, in bytes.
pub struct Finding {
    pub kind: Kind,
    pub range: Range<usize>,
}

/// All findings in their order, none in another; None where it was told to stop.
pub fn find(text: &str, kinds: &[Kind], stops: impl Fn() -> bool) -> Option<Vec<Finding>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    let mut ask_at = 0;
    while at < bytes.len() {
        if at >= ask_at {
            if stops() {
                return None;
            }
            ask_at = at + 4096;
        }
        let begins_word = at == 0 || !is_word(bytes[at - 1]);
        let finding = kinds.iter().filter(|_| begins_word).find_map(|&kind| Some((kind, kind.at(bytes, at)?)));
        match finding {
            Some((kind, end)) => {
                found.push(Finding { kind, range: at..end });
                at = end;
            }
            None => at += 1,
        }
    }
    Some(found)
}

/// Whether a byte goes on with a word: letters beyond ASCII do.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn ends_word(bytes: &[u8], end: usize) -> bool {
    bytes.get(end).is_none_or(|&byte| !is_word(byte))
}

fn run(bytes: &[u8], start: usize, most: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let len = bytes[start..].iter().take(most).take_while(|&&byte| belongs(byte)).count();
    start + len
}

/// `name@host.domain`: at most 64 bytes, and 255.
fn email(bytes: &[u8], start: usize) -> Option<usize> {
    if !bytes[start].is_ascii_alphanumeric() {
        return None;
    }
    let at = run(bytes, start, 64, |byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte));
    if bytes.get(at) != Some(&b'@') {
        return None;
    }
    let mut end = run(bytes, at + 1, 255, |byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    while b".-".contains(&bytes[end - 1]) {
        end -= 1;
    }
    let host = bytes.get(at + 1..end)?;
    let domain = host.rsplit(|&byte| byte == b'.').next()?;
    let is_domain = domain.len() >= 2 && domain.len() < host.len() && domain.iter().all(u8::is_ascii_alphabetic);
    (is_domain && !host.starts_with(b".") && ends_word(bytes, end)).then_some(end)
}

/// 13 to 19 digits, with single spaces or hyphens between them, whose sum by Luhn is a multiple of ten.
fn card(bytes: &[u8], start: usize) -> Option<usize> {
    let mut digits = Vec::with_capacity(19);
    let mut end = start;
    while digits.len() < 20 {
        match bytes.get(end) {
            Some(byte) if byte.is_ascii_digit() => digits.push(u32::from(byte - b'0')),
            Some(b' ' | b'-') if !digits.is_empty() && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) => {}
            _ => break,
        }
        end += 1;
    }
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| if place % 2 == 1 { doubled(digit) } else { digit })
        .sum();
    ((13..=19).contains(&digits.len()) && sum % 10 == 0 && ends_word(bytes, end)).then_some(end)
}

/// Two letters, two digits, and 11 to 30 more of both, with single spaces between them, whose rest by 97 is 1.
fn iban(bytes: &[u8], start: usize) -> Option<usize> {
    let head = bytes.get(start..start + 4)?;
    if !head[..2].iter().all(u8::is_ascii_uppercase) || !head[2..].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let belongs = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let mut symbols = Vec::with_capacity(34);
    let mut found = None;
    let mut end = start;
    while symbols.len() < 34 {
        match bytes.get(end) {
            Some(byte) if belongs(byte) => symbols.push(*byte),
            Some(b' ') if bytes.get(end + 1).is_some_and(belongs) => {}
            _ => break,
        }
        end += 1;
        // A word may follow that looks as if it went on.
        if symbols.len() >= 15 && ends_word(bytes, end) && rest_by_97(&symbols) == 1 {
            found = Some(end);
        }
    }
    found
}

fn rest_by_97(symbols: &[u8]) -> u32 {
    symbols[4..].iter().chain(&symbols[..4]).fold(0, |rest, &symbol| match symbol {
        b'0'..=b'9' => (rest * 10 + u32::from(symbol - b'0')) % 97,
        _ => (rest * 100 + u32::from(symbol - b'A') + 10) % 97,
    })
}
