//! Every reverse proxy, one file each.
