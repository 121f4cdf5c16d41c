//! Tests of the whole module, by subject.

mod alter;
mod decide;
mod grow;
mod record;
mod replay;
