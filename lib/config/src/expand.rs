//! What a configuration file leaves to the place where it is read: `${…}`.
//!
//! | written | becomes |
//! |---|---|
//! | `${NAME}` | the environment variable |
//! | `${ipv4:DEVICE}` | the first IPv4 address of a network device |
//! | `${ipv6:DEVICE}` | its first IPv6 address that is not link-local |
//!
//! A container knows its own addresses only when it runs; its file is the same for all of them.

use std::net::IpAddr;

/// Octets that stand for one `${…}`.
const VALUE_MAX: usize = 4096;

/// A `${…}` that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// Line and column, from 1.
    pub at: (u64, u64),
    /// What was expected.
    pub expectation: String,
}

/// Replaces each `${…}` outside comments by what `lookup` says of its content.
pub(crate) fn expand(
    text: &str,
    mut lookup: impl FnMut(&str) -> Result<String, String>,
) -> Result<String, Unknown> {
    if !text.contains("${") {
        return Ok(text.to_owned());
    }
    let mut expanded = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = comment(line);
        let (mut rest, comment) = line.split_at(end);
        while let Some(start) = rest.find("${") {
            let column = line[..end].chars().count() - rest[start..].chars().count() + 1;
            let unknown = |expectation| Unknown { at: (index as u64 + 1, column as u64), expectation };
            let (before, behind) = (&rest[..start], &rest[start + 2..]);
            let Some((name, behind)) = behind.split_once('}') else {
                return Err(unknown("expected `}` behind `${`".to_owned()));
            };
            let value = lookup(name).map_err(unknown)?;
            if value.len() > VALUE_MAX || value.chars().any(char::is_control) {
                let why = format!("expected one line of at most {VALUE_MAX} octets in `${{{name}}}`");
                return Err(unknown(why));
            }
            expanded.push_str(before);
            expanded.push_str(&value);
            rest = behind;
        }
        expanded.push_str(rest);
        expanded.push_str(comment);
    }
    Ok(expanded)
}

/// Where a line's comment begins: a `#` at its start or behind a blank.
fn comment(line: &str) -> usize {
    let mut before = ' ';
    for (index, char) in line.char_indices() {
        if char == '#' && before.is_whitespace() {
            return index;
        }
        before = char;
    }
    line.len()
}

/// What a name stands for in this process.
pub(crate) fn here(name: &str) -> Result<String, String> {
    match name.split_once(':') {
        Some(("ipv4", device)) => address(name, device, |ip| ip.is_ipv4()),
        Some(("ipv6", device)) => address(name, device, |ip| match ip {
            IpAddr::V6(ip) => !ip.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        }),
        Some(_) => Err(format!("expected a variable, ipv4:DEVICE or ipv6:DEVICE in `${{{name}}}`")),
        None => std::env::var(name)
            .map_err(|_| format!("expected the environment variable {name}, which is not set or not text")),
    }
}

fn address(name: &str, device: &str, fits: impl Fn(IpAddr) -> bool) -> Result<String, String> {
    let interfaces = getifaddrs::getifaddrs().map_err(|error| format!("`${{{name}}}`: {error}"))?;
    let addresses = interfaces.filter(|interface| interface.name == device);
    let mut addresses = addresses.filter_map(|interface| interface.address.ip_addr());
    let found = addresses.find(|ip| fits(*ip));
    found
        .map(|ip| ip.to_string())
        .ok_or_else(|| format!("expected a network device `{device}` with such an address for `${{{name}}}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Result<String, String> {
        match name {
            "ipv4:n3" => Ok("192.0.2.3".to_owned()),
            "LINES" => Ok("a\nb: c".to_owned()),
            _ => Err(format!("no {name}")),
        }
    }

    #[test]
    fn what_is_known_is_replaced_and_comments_stay() {
        let text = "a: ${ipv4:n3} # ${no}\n# ${no}\nb: [${ipv4:n3}, \"${ipv4:n3}/24\"]\nc: d#${ipv4:n3}";
        let expected = "a: 192.0.2.3 # ${no}\n# ${no}\nb: [192.0.2.3, \"192.0.2.3/24\"]\nc: d#192.0.2.3";
        assert_eq!(expand(text, lookup).unwrap(), expected);
        assert_eq!(expand("plain: $x {y}\n", lookup).unwrap(), "plain: $x {y}\n");
    }

    #[test]
    fn what_is_unknown_is_named_with_its_place() {
        let error = expand("a: 1\nb: é ${no}\n", lookup).unwrap_err();
        assert_eq!(error, Unknown { at: (2, 6), expectation: "no no".to_owned() });
        assert_eq!(expand("b: ${ipv4:n3\n", lookup).unwrap_err().at, (1, 4));
    }

    #[test]
    fn a_value_of_several_lines_adds_no_field() {
        assert!(expand("a: ${LINES}\n", lookup).unwrap_err().expectation.contains("one line"));
    }

    #[test]
    fn addresses_of_a_device_are_found_by_its_name() {
        assert_eq!(here("ipv4:lo").unwrap(), "127.0.0.1");
        for name in ["ipv4:no-such-device", "ipv7:lo", "TERN_NO_SUCH_VARIABLE", ""] {
            assert!(here(name).unwrap_err().contains("expected"), "{name}");
        }
    }
}
