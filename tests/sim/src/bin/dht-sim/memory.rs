//! Memory: what a run will take, what there is, what was taken.

use dht_sim::Scenario;

use crate::failure::{Failure, because, say};
use crate::units::bytes_text;

/// An estimate below this is not worth a word.
const LARGE: u64 = 1_000_000_000;

/// Says what a large run will take, and refuses what there is too little memory for.
pub(crate) fn check(scenario: &Scenario, force: bool, quiet: bool) -> Result<(), Failure> {
    let (needs, has) = (scenario.memory_estimate(), available());
    let too_little = has.is_some_and(|has| needs > has);
    let has = has.map_or(String::new(), |has| format!(", of which {} are free", bytes_text(has)));
    let about = format!("about {} of memory{has}", bytes_text(needs));
    if too_little && !force {
        return Err(because(format!(
            "this takes {about}: ask for fewer nodes, or insist with --force"
        )));
    }
    if needs >= LARGE && (!quiet || too_little) {
        say(format_args!("this takes {about}"));
    }
    Ok(())
}

/// The most memory that this process ever had, in bytes, where the system tells (Linux).
pub(crate) fn peak() -> Option<u64> {
    find(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// How much memory could be had, likewise.
fn available() -> Option<u64> {
    find(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn find(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found() {
        let text =
            "MemTotal:  24000 kB\nMemAvailable:   5380 kB\nOdd: 1\nHuge: 99999999999999999999 kB";
        assert_eq!(find(text, "MemAvailable:"), Some(5380 * 1024));
        for odd in ["Odd:", "Huge:", "VmHWM:"] {
            assert_eq!(find(text, odd), None);
        }
    }

    #[test]
    fn what_is_too_large_is_refused_unless_forced() {
        let large = Scenario { nodes: 5_000_000, ..Scenario::default() };
        let vast = Scenario { nodes: u32::MAX, join_over_us: 0, ..Scenario::default() };
        check(&Scenario::default(), false, true).unwrap();
        check(&large, true, true).unwrap();
        if available().is_some() {
            let Err(Failure::Because(said)) = check(&vast, false, true) else { panic!("passes") };
            assert!(said.contains("--force"), "{said}");
        }
    }
}
