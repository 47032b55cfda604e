//! Every case on every adapter: outputs and gradients within their bounds on fractions, bit for bit on integers.

mod common;

use common::cases::cases;
use common::check::{check_all, ways};

#[test]
fn cases_agree_with_the_reference() {
    let mut ways = ways(256);
    let wrong = check_all(&cases(), &mut ways);
    for way in &ways {
        println!("{way}");
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
