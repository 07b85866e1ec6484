//! Reads apt sources in both formats, to derive the source of a suite from that of another.

/// A source as apt knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    types: Vec<String>,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: String,
    disabled: bool,
}

/// Returns the name of a release's backports.
#[must_use]
pub fn backports(codename: &str) -> String {
    format!("{codename}-backports")
}

/// Returns whether a source has the suite.
#[must_use]
pub fn has_suite(text: &str, suite: &str) -> bool {
    sources(text).iter().any(|source| source.suites.iter().any(|name| name == suite))
}

/// Returns a stanza for `suite`, from where `release` comes from and under its key. `None` if no
/// source has the release.
#[must_use]
pub fn stanza_for(text: &str, release: &str, suite: &str) -> Option<String> {
    let is_release = |source: &Source| {
        source.suites.iter().any(|name| name == release)
            && source.components.iter().any(|name| name == "main")
    };
    let source = sources(text).into_iter().find(is_release)?;
    let uris = source.uris.join(" ");
    let mut stanza = format!("Types: deb\nURIs: {uris}\nSuites: {suite}\nComponents: main\n");
    if !source.signed_by.is_empty() {
        stanza.push_str(&format!("Signed-By: {}\n", source.signed_by));
    }
    Some(stanza)
}

/// Returns the enabled binary sources in a text of either format.
fn sources(text: &str) -> Vec<Source> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(one_line)
        .chain(stanzas(text))
        .filter(|source| !source.disabled && source.types.iter().any(|kind| kind == "deb"))
        .collect()
}

/// Reads `deb [options] uri suite components...`.
fn one_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(String::from);
    let signed_by = options.split_whitespace().find_map(|word| word.strip_prefix("signed-by="));
    Some(Source {
        types: vec!["deb".into()],
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.unwrap_or_default().into(),
        disabled: false,
    })
}

/// Reads stanzas of `Field: value` lines, where a line that starts with a space goes on with the
/// field above it (a key may stand in the file itself, over many lines).
fn stanzas(text: &str) -> Vec<Source> {
    let mut all = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            all.extend(stanza(&std::mem::take(&mut fields)));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push_str(&format!("\n{line}"));
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key.trim().to_lowercase(), value.trim().into()));
        }
    }
    all
}

fn stanza(fields: &[(String, String)]) -> Option<Source> {
    let field = |key: &str| fields.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let words = |key: &str| -> Option<Vec<String>> {
        Some(field(key)?.split_whitespace().map(String::from).collect())
    };
    Some(Source {
        types: words("types")?,
        uris: words("uris")?,
        suites: words("suites")?,
        components: words("components").unwrap_or_default(),
        signed_by: field("signed-by").cloned().unwrap_or_default(),
        disabled: field("enabled").is_some_and(|value| value == "no"),
    })
}

#[cfg(test)]
mod tests {
    use super::{has_suite, stanza_for};

    const STANZAS: &str = "\
Types: deb
# A comment inside.
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/key.gpg

Enabled: no
Types: deb
URIs: http://other.test
Suites: bookworm-backports
Components: main
";

    #[test]
    fn a_stanza_is_derived_from_stanzas() {
        let stanza = stanza_for(STANZAS, "bookworm", "bookworm-backports").unwrap();
        assert_eq!(
            stanza,
            "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm-backports\n\
             Components: main\nSigned-By: /usr/share/keyrings/key.gpg\n"
        );
        assert!(has_suite(STANZAS, "bookworm-updates"));
        assert!(!has_suite(STANZAS, "bookworm-backports"));
        assert!(has_suite(&stanza, "bookworm-backports"));
        assert_eq!(stanza_for(STANZAS, "trixie", "trixie-backports"), None);
    }

    #[test]
    fn a_stanza_is_derived_from_one_line_sources() {
        let text = "# deb http://old.test bookworm main\n\
                    deb-src http://src.test bookworm main\n\
                    deb [arch=amd64 signed-by=/k.asc] http://mirror.test/d bookworm main # here\n\
                    deb http://mirror.test/d bookworm-updates main\n";
        let stanza = stanza_for(text, "bookworm", "bookworm-backports").unwrap();
        assert!(stanza.contains("URIs: http://mirror.test/d\n"));
        assert!(stanza.contains("Signed-By: /k.asc\n"));
        let bare = stanza_for("deb http://mirror.test/d bookworm main", "bookworm", "x").unwrap();
        assert!(!bare.contains("Signed-By"));
    }

    #[test]
    fn a_key_inside_the_stanza_is_kept() {
        let text = "Types: deb\nURIs: http://m.test\nSuites: a\nComponents: main\nSigned-By:\n \
                    -----BEGIN\n .\n abc\n";
        let stanza = stanza_for(text, "a", "b").unwrap();
        assert!(stanza.ends_with("Signed-By: \n -----BEGIN\n .\n abc\n"));
    }
}
