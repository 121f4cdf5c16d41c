//! x
mod batch; mod client; mod histogram; mod load; mod pace; mod process; mod report; mod request; mod topic; mod units;
fn main() {}
