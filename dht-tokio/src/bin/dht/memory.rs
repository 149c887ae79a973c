//! How much memory this process has.

/// Bytes of memory in use now, where the system tells (Linux).
pub(crate) fn resident() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The resident set in what `/proc/self/status` says; unlike `statm` it needs no page size.
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_found() {
        let status = "Name:\tdht\nVmHWM:\t    9000 kB\nVmRSS:\t    5380 kB\nThreads:\t1\n";
        assert_eq!(parse(status), Some(5380 * 1024));
        for odd in ["", "VmRSS:", "VmRSS:\t5380", "VmRSS:\t-1 kB", "VmRSS: 99999999999999999999 kB"]
        {
            assert_eq!(parse(odd), None, "{odd}");
        }
        assert_eq!(parse("VmRSS: 18446744073709551615 kB"), None);
    }
}
