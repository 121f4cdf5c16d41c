//! Tests of the whole module, by subject.

mod decide;
mod record;
mod replay;
