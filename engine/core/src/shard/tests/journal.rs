//! The journal's files: how many are full before the flusher is pressed.

use super::*;

#[test]
fn the_flusher_is_pressed_when_less_than_half_of_the_files_there_are_is_free() {
    // Files configured, those that there are, and how many of them are begun when it is.
    for (configured, there, begun) in [(4, 4, 3), (2, 2, 2), (8, 2, 2), (8, 3, 2), (8, 5, 3)] {
        let mut plan = setup(1, 1);
        plan.limits.journal_files = configured;
        plan.formatted = (0..there).map(FileSlot).collect();
        let file_bytes = plan.limits.journal_file_bytes;
        let mut shard = Shard::new(plan);
        let mut placed = 0;
        while !shard.commits.presses() {
            assert!(shard.commits.ring().place(file_bytes, 1).is_some());
            placed += 1;
        }
        assert_eq!(placed, begun, "{there} of {configured}");
    }
}
