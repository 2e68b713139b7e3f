//! What resources may be called.
//!
//! Each rule stands twice: as the check that names the fault, and as a regular expression (ECMA-262, as JSON Schema takes it)
//! for the documents that clients are made from. Lengths are not in the expressions.

use crate::error::CatalogError;

/// Characters that Azure Media Services did not allow in names either. (It also refused the full stop, which the names
/// of uploaded files bring along; we accept it.)
const FORBIDDEN: &[char] = &[
    '<', '>', '%', '&', ':', '\\', '?', '/', '*', '+', '\'', '"', '#', '|',
];

/// [`resource`] as a regular expression.
pub const RESOURCE_PATTERN: &str = r##"^(?!\.+$)[^\s\u0000-\u001F\u007F-\u009F<>%&:\\?/*+'"#|](?:[^\u0000-\u001F\u007F-\u009F<>%&:\\?/*+'"#|]*[^\s\u0000-\u001F\u007F-\u009F<>%&:\\?/*+'"#|])?$"##;

/// The rule for most resources: 1 to 260 characters, none of `<>%&:\?/*+'"#|`, no control characters, no space at
/// either end, and not just dots.
pub fn resource(field: &str, name: &str) -> Result<(), CatalogError> {
    limited(field, name, 260)
}

fn limited(field: &str, name: &str, longest: usize) -> Result<(), CatalogError> {
    let length = name.chars().count();
    if length == 0 || length > longest {
        return Err(CatalogError::invalid(
            field,
            format!("must have 1 to {longest} characters"),
        ));
    }
    if let Some(bad) = name
        .chars()
        .find(|c| c.is_control() || FORBIDDEN.contains(c))
    {
        return Err(CatalogError::invalid(
            field,
            format!("must not contain {bad:?}"),
        ));
    }
    if name.trim() != name {
        return Err(CatalogError::invalid(
            field,
            "must not begin or end with a space",
        ));
    }
    if name.chars().all(|c| c == '.') {
        return Err(CatalogError::invalid(
            field,
            "must not consist of dots only",
        ));
    }
    Ok(())
}

/// [`plain`] as a regular expression.
pub const PLAIN_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

/// Our own resources: 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
pub fn plain(field: &str, name: &str) -> Result<(), CatalogError> {
    let ok = !name.is_empty()
        && name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if ok {
        Ok(())
    } else {
        Err(CatalogError::invalid(
            field,
            "must have 1 to 64 letters, digits, '-', '_' or '.', and begin with a letter or digit",
        ))
    }
}

/// [`filter`] as a regular expression.
pub const FILTER_PATTERN: &str = r"^(?!\.+$)[A-Za-z0-9._~-]+$";

/// Filters, whose names stand in playback URLs: 1 to 260 letters, digits, `-`, `_`, `.` and `~`.
pub fn filter(field: &str, name: &str) -> Result<(), CatalogError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if (1..=260).contains(&name.len())
        && name.chars().all(plain)
        && !name.trim_matches('.').is_empty()
    {
        Ok(())
    } else {
        Err(CatalogError::invalid(
            field,
            "must have 1 to 260 letters, digits, '-', '_', '.' or '~', and not only dots",
        ))
    }
}

/// Streaming endpoints, whose names were parts of host names: 1 to 24 letters, digits and hyphens, with a
/// letter or digit at both ends.
pub fn endpoint(field: &str, name: &str) -> Result<(), CatalogError> {
    hyphenated(field, name, 24)
}

/// Live events, whose names were parts of host names: as endpoints, up to 32 characters.
pub fn live_event(field: &str, name: &str) -> Result<(), CatalogError> {
    hyphenated(field, name, 32)
}

/// Live outputs: as endpoints, up to 256 characters.
pub fn live_output(field: &str, name: &str) -> Result<(), CatalogError> {
    hyphenated(field, name, 256)
}

/// [`endpoint`], [`live_event`] and [`live_output`] as a regular expression, which does not say how long they may be.
pub const HYPHENATED_PATTERN: &str = "^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$";

/// Letters, digits and hyphens, with a letter or digit at both ends.
pub(crate) fn hyphenated(field: &str, name: &str, longest: usize) -> Result<(), CatalogError> {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    let ok = (1..=longest).contains(&name.len())
        && name.chars().all(|c| alphanumeric(c) || c == '-')
        && name.starts_with(alphanumeric)
        && name.ends_with(alphanumeric);
    if ok {
        Ok(())
    } else {
        Err(CatalogError::invalid(
            field,
            format!(
                "must have 1 to {longest} letters, digits and hyphens, and begin and end with a letter or digit"
            ),
        ))
    }
}

/// [`container`] as a regular expression.
pub const CONTAINER_PATTERN: &str = "^[a-z0-9](?:-?[a-z0-9])*$";

/// Azure's rule for containers: 3 to 63 lower-case letters, digits and single hyphens, with a letter or digit at both
/// ends.
pub fn container(field: &str, name: &str) -> Result<(), CatalogError> {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ok = (3..=63).contains(&name.len())
        && name.chars().all(|c| alphanumeric(c) || c == '-')
        && name.starts_with(alphanumeric)
        && name.ends_with(alphanumeric)
        && !name.contains("--");
    if ok {
        Ok(())
    } else {
        Err(CatalogError::invalid(
            field,
            "must have 3 to 63 lower-case letters, digits and single hyphens, and begin and end with a letter or digit",
        ))
    }
}

/// Projects, which are AMS accounts and parts of container names: 3 to 24 lower-case letters, digits and single hyphens, with
/// a letter or digit at both ends. AMS knows no hyphens.
pub fn project(field: &str, name: &str) -> Result<(), CatalogError> {
    match container(field, name) {
        Ok(()) if name.len() <= 24 => Ok(()),
        _ => Err(CatalogError::invalid(
            field,
            "must have 3 to 24 lower-case letters, digits and single hyphens, and begin and end with a letter or digit",
        )),
    }
}

/// ARM's rule for resource groups: 1 to 90 letters, digits, `_`, `-`, `.`, `(` and `)`, with no dot at the end.
pub fn resource_group(field: &str, name: &str) -> Result<(), CatalogError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')');
    if (1..=90).contains(&name.chars().count()) && name.chars().all(plain) && !name.ends_with('.') {
        Ok(())
    } else {
        Err(CatalogError::invalid(
            field,
            "must have 1 to 90 letters, digits, '_', '-', '.', '(' or ')', and no dot at the end",
        ))
    }
}

/// Subscriptions, which are UUIDs in Azure and need not be here: 1 to 64 letters, digits and hyphens.
pub fn subscription(field: &str, name: &str) -> Result<(), CatalogError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(plain) {
        Ok(())
    } else {
        Err(CatalogError::invalid(
            field,
            "must have 1 to 64 letters, digits or hyphens",
        ))
    }
}

/// A folder inside a container. Slashes at the ends are dropped; empty means the whole container.
pub fn folder(field: &str, path: &str) -> Result<String, CatalogError> {
    let trimmed = path.trim_matches('/');
    let bad = trimmed.chars().count() > 1024
        || trimmed.chars().any(|c| c.is_control() || c == '\\')
        || (!trimmed.is_empty()
            && trimmed
                .split('/')
                .any(|part| part.is_empty() || part == "." || part == ".."));
    if bad {
        return Err(CatalogError::invalid(
            field,
            "must be a folder path of at most 1024 characters without empty, '.' or '..' parts",
        ));
    }
    Ok(trimmed.to_owned())
}

/// A blob: 1 to 1024 characters, no control characters, no `\`, and no part that is empty, `.` or `..`.
pub fn blob(field: &str, name: &str) -> Result<(), CatalogError> {
    if name.starts_with('/') || name.ends_with('/') || folder(field, name)?.is_empty() {
        return Err(CatalogError::invalid(field, "must name a file"));
    }
    Ok(())
}

/// What a person is called: 1 to 128 characters, no control characters, no space at either end.
pub fn display(field: &str, name: &str) -> Result<(), CatalogError> {
    let length = name.chars().count();
    let ok =
        (1..=128).contains(&length) && !name.chars().any(char::is_control) && name.trim() == name;
    if ok {
        Ok(())
    } else {
        Err(CatalogError::invalid(
            field,
            "must have 1 to 128 characters, no control characters and no space at either end",
        ))
    }
}

/// Optional text that is only shown.
pub fn text(field: &str, text: Option<&str>, longest: usize) -> Result<(), CatalogError> {
    if text.is_some_and(|text| text.chars().count() > longest) {
        return Err(CatalogError::invalid(
            field,
            format!("must have at most {longest} characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_names() {
        for good in ["a", "My asset 1", "film.mp4", "größe", &"x".repeat(260)] {
            assert!(resource("name", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a/b",
            "a\\b",
            "a%b",
            "a?b",
            " a",
            "a ",
            ".",
            "..",
            "a\u{0}b",
            "a'b",
            &"x".repeat(261),
        ] {
            assert!(resource("name", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn projects_and_where_arm_finds_them() {
        for good in ["abc", "team-1", &"x".repeat(24)] {
            assert!(project("p", good).is_ok(), "{good}");
        }
        for bad in ["ab", "Team", "a--b", "-ab", "a_b", &"x".repeat(25)] {
            assert!(project("p", bad).is_err(), "{bad}");
        }
        for good in ["rg", "RG_1.(x)-y"] {
            assert!(resource_group("g", good).is_ok(), "{good}");
        }
        for bad in ["", "a.", "a/b", "a b", &"x".repeat(91)] {
            assert!(resource_group("g", bad).is_err(), "{bad}");
        }
        assert!(subscription("s", "00000000-0000-0000-0000-000000000000").is_ok());
        for bad in ["", "a/b", "a b", &"x".repeat(65)] {
            assert!(subscription("s", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn containers_and_folders() {
        assert!(container("c", "asset-1f3c").is_ok());
        for bad in ["ab", "Asset", "a--b", "-ab", "ab-", "a_b", &"x".repeat(64)] {
            assert!(container("c", bad).is_err(), "{bad}");
        }
        assert_eq!(folder("f", "/a/b/").unwrap(), "a/b");
        assert_eq!(folder("f", "").unwrap(), "");
        for bad in ["a//b", "../a", "a/./b", "a\\b"] {
            assert!(folder("f", bad).is_err(), "{bad}");
        }
        assert!(blob("b", "a/film.mp4").is_ok());
        for bad in ["", "/", "a/", "/a", "a/../b"] {
            assert!(blob("b", bad).is_err(), "{bad}");
        }
    }
}
