//! x
#[test]
fn t() {
    let s = std::process::Command::new(env!("CARGO_BIN_EXE_dht")).output().unwrap();
    assert_eq!(s.stdout, b"hi\n");
}
