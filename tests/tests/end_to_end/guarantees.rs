//! What `docs/guarantees.md` says is there: a test that is renamed or removed, and a row that nothing proves, fail here.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The groups of the document, and how many rows each has.
const GROUPS: [(char, u32); 11] =
    [('X', 19), ('N', 13), ('Q', 9), ('P', 8), ('S', 26), ('B', 10), ('I', 7), ('M', 9), ('K', 34), ('G', 4), ('Y', 6)];

/// What a row without a test says.
const WITHOUT: [&str; 2] = ["not yet", "does not apply"];

/// Rows that say, of all or a part, that it is not there yet: those of logins, and of what is left of HTTP. A new gap must be
/// put here, and one that is closed taken out.
const NOT_YET: [&str; 4] = ["N10", "B9", "K29", "D1–D8"];

/// A row of a table: its ids, and the tests that it names.
struct Row {
    ids: String,
    text: String,
    tests: Vec<(String, PathBuf)>,
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/guarantees.md")
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(document()).unwrap();
    // The ids, of which each begins with its group.
    let is_row = |line: &&str| line.starts_with(|first: char| first.is_ascii_uppercase());
    let lines = text.lines().filter_map(|line| line.strip_prefix("| "));
    let row = |line: &str| Row {
        ids: line.split(" | ").next().unwrap().to_owned(),
        text: line.to_owned(),
        tests: line.split("[`").skip(1).map(test).collect(),
    };
    lines.filter(is_row).map(row).collect()
}

/// The name and the file of a link that looks like ``[`name`](../path)``, from its name on.
fn test(link: &str) -> (String, PathBuf) {
    let (name, rest) = link.split_once("`](").unwrap_or_else(|| panic!("this is no link to a test: {link}"));
    let (path, _) = rest.split_once(')').unwrap();
    (name.to_owned(), document().parent().unwrap().join(path))
}

/// The numbers of `S3`, or of `S3–S5`.
fn numbers(ids: &str, group: char) -> std::ops::RangeInclusive<u32> {
    let number = |id: &str| id.strip_prefix(group).and_then(|number| number.parse().ok());
    let (first, last) = ids.split_once('–').unwrap_or((ids, ids));
    match (number(first), number(last)) {
        (Some(first), Some(last)) => first..=last,
        _ => panic!("`{ids}` is no id, and no range of them"),
    }
}

/// Whether a file has a test of this name, which is run.
fn has_test(source: &str, name: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else { return false };
    // The attributes stand between the function and what is above it.
    let attributes = before.rsplit("\n\n").next().unwrap();
    (attributes.contains("#[test]") || attributes.contains("#[tokio::test")) && !attributes.contains("#[ignore")
}

#[test]
fn every_test_that_the_guarantees_name_exists() {
    let mut named = BTreeSet::new();

    for row in rows() {
        for (name, path) in row.tests {
            let source =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {}: {error}", row.ids, path.display()));
            assert!(has_test(&source, &name), "{}: there is no test `{name}` in {}", row.ids, path.display());
            named.insert(name);
        }
    }

    assert!(named.len() > 100, "only {} tests were found", named.len());
}

#[test]
fn every_guarantee_has_a_test_or_says_that_it_has_none() {
    for row in rows() {
        let is_without = WITHOUT.iter().any(|without| row.text.contains(without));
        assert!(!row.tests.is_empty() || is_without, "{} names no test", row.ids);
    }
}

#[test]
fn what_is_not_there_yet_is_known() {
    let rows = rows();

    let not_yet: Vec<_> = rows.iter().filter(|row| row.text.contains("not yet")).map(|row| row.ids.as_str()).collect();

    assert_eq!(not_yet, NOT_YET);
}

#[test]
fn every_row_of_every_group_is_there_once() {
    let rows = rows();

    for (group, last) in GROUPS {
        let of_group = rows.iter().filter(|row| row.ids.starts_with(group));
        let found: Vec<u32> = of_group.flat_map(|row| numbers(&row.ids, group)).collect();
        assert_eq!(found, (1..=last).collect::<Vec<_>>(), "group {group}");
    }
}

/// The check above can fail.
#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let source = "#[test]\nfn first() {}\n\nfn helper() {}\n\n#[tokio::test(start_paused = true)]\nasync fn second() {}\n\n#[test]\n#[ignore = \"slow\"]\nfn third() {}\n";

    assert_eq!(
        ["first", "helper", "second", "third", "fourth"].map(|name| has_test(source, name)),
        [true, false, true, false, false]
    );
}
