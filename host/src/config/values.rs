//! What the texts of an entry may hold.
//!
//! Checked here, where file, line and key are known, rather than by the operating system or an HTTP library later,
//! which know none of them. No message repeats the text that it is about.

pub(super) const NUL: &str = "contains a NUL character, which no process can be given";

/// `execve(2)` takes strings that end at the first NUL.
pub(super) fn check_argument(text: &str) -> Result<(), &'static str> {
    if text.contains('\0') { Err(NUL) } else { Ok(()) }
}

/// Bounds of `environ(7)`: a name ends at the first `=`, a string at the first NUL.
pub(super) fn check_variable(name: &str, value: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("is not a name that an environment variable can have");
    }
    check_argument(value)
}

/// Grammar of RFC 9110, sections 5.1 and 5.5. A line break in a value would begin a header of its own.
pub(super) fn check_header(name: &str, value: &str) -> Result<(), &'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("is not a name that a header field can have");
    }
    if value.chars().any(|character| character.is_control() && character != '\t') {
        return Err("contains a control character, which a header field cannot have");
    }
    Ok(())
}

/// What can be said of an address without taking it apart.
pub(super) fn check_url(url: &str) -> Result<(), &'static str> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.get(..scheme.len()).filter(|s| s.eq_ignore_ascii_case(scheme)).map(|s| &url[s.len()..]))
        .ok_or("is not an address that begins with http:// or https://")?;
    if url.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err("contains space or control characters");
    }
    if rest.split(['/', '?', '#']).next().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for url in ["http://localhost:8080/mcp", "https://example.com", "HTTPS://example.com/?a=b"] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for url in ["", "example.com", "ftp://example.com", "http://", "https:///path", "http://a b", "https://é\n"] {
            assert!(check_url(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn a_header_cannot_smuggle_another() {
        assert_eq!(check_header("Authorization", "Bearer abc"), Ok(()));
        assert!(check_header("X-A", "b\r\nX-C: d").is_err());
        assert!(check_header("X A", "b").is_err());
        assert!(check_header("", "b").is_err());
    }
}
