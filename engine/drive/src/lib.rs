//! Drives the pure core with glommio and the disk ring.
