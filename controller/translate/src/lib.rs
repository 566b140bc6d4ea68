//! Pure translation: cluster objects to documents and statuses
