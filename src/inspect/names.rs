//! What to say of a name that is not there.

/// The most names that a message lists.
const LISTED: usize = 8;

/// The name most like `wanted`, if one is much like it; else some of them.
pub(super) fn hint<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let nearest = names.iter().map(|name| (distance(wanted, name), name));
    match nearest.min() {
        Some((edits, name)) if 3 * edits <= name.chars().count() => {
            format!("the nearest is \"{name}\"")
        }
        _ => format!("there are {}", listed(&names)),
    }
}

/// The names, the first of many.
pub(super) fn listed(names: &[&str]) -> String {
    let (shown, more) = names.split_at(names.len().min(LISTED));
    match (shown, more.len()) {
        ([], _) => "none".to_owned(),
        (_, 0) => shown.join(", "),
        (_, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// How many characters are put in, taken out or replaced on the way from one name to another
/// (Levenshtein 1966).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // From the first characters of `from` to the first 0, 1, ... of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (taken, own) in (1..).zip(from.chars()) {
        let mut before = row[0];
        row[0] = taken;
        for (at, &other) in to.iter().enumerate() {
            let replaced = before + usize::from(own != other);
            before = row[at + 1];
            row[at + 1] = replaced.min(before + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        let names = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "fc"];
        let told = |wanted| hint(wanted, names.into_iter());
        assert_eq!(told("layer1.conv1"), "the nearest is \"layer1.0.conv1\"");
        assert_eq!(told("con1"), "the nearest is \"conv1\"");
        let all = "there are conv1, layer1.0.conv1, layer1.0.conv2, fc";
        assert_eq!(told("head"), all);
        assert_eq!(hint("x", [].into_iter()), "there are none");
        let many: Vec<String> = (100..111).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(listed(&many).ends_with("107 and 3 more"));
    }
}
