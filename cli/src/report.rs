//! What a command says to people: results on stdout, problems on stderr.

use std::io::{self, IsTerminal, Write};

/// Says a problem.
pub(crate) fn error(text: &str) {
    let mut err = io::stderr().lock();
    // Nobody is left to tell when stderr is gone.
    let _ = if err.is_terminal() {
        writeln!(err, "\x1b[31;1merror\x1b[0m: {text}")
    } else {
        writeln!(err, "error: {text}")
    };
}

/// Says something worth knowing that is no problem.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a result. A reader that has gone (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Lays out rows in columns as wide as their widest cell.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let width = |at: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(at))
            .map(|cell| cell.chars().count());
        cells.chain(header.get(at).map(|it| it.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(header.to_vec())).chain(body).collect()
}
