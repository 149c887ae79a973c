//! The other examples, run to their end.

#[path = "../../../dht-core/examples/hundred.rs"]
mod hundred;
#[path = "../../../dht-core/examples/smoltcp.rs"]
mod smoltcp_loop;

#[test]
fn a_hundred_nodes_in_one_thread() {
    hundred::main().unwrap();
}

#[test]
fn nodes_without_an_operating_system() {
    smoltcp_loop::main().unwrap();
}
