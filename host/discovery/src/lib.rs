//! How configuration arrives: files on disk and their changes
