//! How to use the cluster while it is kept.

use std::fmt::Write;

use super::Programs;
use super::demo::Demo;
use crate::node::{Listener, Node};

/// Commands to copy, with the addresses of the running nodes.
pub(super) fn instructions(programs: &Programs, demo: &Demo) -> String {
    let scheduler = demo.nodes.scheduler();
    let flight = address(scheduler, Listener::Flight);
    let http = address(scheduler, Listener::Http);
    let spice = programs.spice.display();
    let files = demo.directory.path().display();
    let mut text = format!(
        "\nThe cluster runs until Ctrl-C. Its files are in {files}.\n\
         \n  SQL shell\n    {spice} sql --flight-endpoint http://{flight}\n\
         \n  HTTP\n    curl http://{http}/v1/sql -d 'select count(*) from lineitem'\n\
         \n  Python (pip install adbc-driver-flightsql pyarrow)\n\
         \x20   from adbc_driver_flightsql import dbapi\n\
         \x20   with dbapi.connect(\"grpc://{flight}\", autocommit=True) as connection:\n\
         \x20       cursor = connection.cursor()\n\
         \x20       cursor.execute(\"select l_returnflag, count(*) from lineitem group by 1\")\n\
         \x20       print(cursor.fetch_arrow_table())\n\
         \n  Metrics\n"
    );
    for node in std::iter::once(scheduler).chain(demo.nodes.executors()) {
        let metrics = address(node, Listener::Metrics);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    curl http://{metrics}/metrics   # {}",
            node.name()
        );
    }
    text
}

fn address(node: &Node, listener: Listener) -> String {
    match node.address(listener) {
        Ok(address) => address.to_string(),
        Err(_) => format!("(no {} listener)", listener.as_str()),
    }
}
