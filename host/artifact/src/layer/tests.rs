//! What is found in archives, honest and hostile.

use std::io::Write as _;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;

const WASM: &[u8] = b"\0asm\x0d\0\x01\0plugin";

fn limits() -> Limits {
    Limits {
        wasm_bytes: 1 << 20,
        archive_bytes: 4 << 20,
        archive_entries: 20,
        ..Limits::default()
    }
}

fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        let header = header(name.as_bytes(), EntryType::Regular, content.len() as u64);
        builder.append(&header, *content).expect("written");
    }
    builder.into_inner().expect("written")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("written")
}

/// An archive of one header with content, then an honest plugin.
fn after(first: &Header, content: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    builder.append(first, content).expect("written");
    let plugin = header(b"plugin.wasm", EntryType::Regular, WASM.len() as u64);
    builder.append(&plugin, WASM).expect("written");
    builder.into_inner().expect("written")
}

fn check(archive: &[u8], expect: &[u8]) {
    assert_eq!(
        unpack(archive, Compression::None, &limits()).as_deref(),
        Ok(expect)
    );
    assert_eq!(
        unpack(&gzip(archive), Compression::Gzip, &limits()).as_deref(),
        Ok(expect)
    );
}

fn check_refused(archive: &[u8], words: &str) {
    for found in [
        unpack(archive, Compression::None, &limits()),
        unpack(&gzip(archive), Compression::Gzip, &limits()),
    ] {
        let refused = found.expect_err("refused").to_string();
        assert!(refused.contains(words), "{refused} lacks {words}");
    }
}

#[test]
fn the_prescribed_name_wins_over_other_wasm_files() {
    check(&tar(&[("plugin.wasm", WASM)]), WASM);
    check(&tar(&[("./plugin.wasm", WASM)]), WASM);
    check(
        &tar(&[("a.wasm", b"a"), ("plugin.wasm", WASM), ("b.wasm", b"b")]),
        WASM,
    );
    check(
        &tar(&[("runtime-config.json", b"{}"), ("plugin.wasm", WASM)]),
        WASM,
    );
}

#[test]
fn any_other_name_does_when_it_is_the_only_one() {
    check(&tar(&[("bin/geo.wasm", WASM), ("etc/geo.json", b"{}")]), WASM);
    check_refused(&tar(&[("a.wasm", WASM), ("b.wasm", WASM)]), "2 .wasm files");
    check_refused(&tar(&[("readme", b"")]), "no plugin.wasm");
    check_refused(&tar(&[]), "no plugin.wasm");
}

#[test]
fn long_names_are_read_in_both_forms() {
    let long = format!("{}/geo.wasm", "d".repeat(200));
    let mut builder = Builder::new(Vec::new());
    let mut plain = header(b"", EntryType::Regular, WASM.len() as u64);
    builder.append_data(&mut plain, &long, WASM).expect("written");
    check(&builder.into_inner().expect("written"), WASM);

    let mut builder = Builder::new(Vec::new());
    builder
        .append_pax_extensions([("path", long.as_bytes())])
        .expect("written");
    let plain = header(b"short", EntryType::Regular, WASM.len() as u64);
    builder.append(&plain, WASM).expect("written");
    check(&builder.into_inner().expect("written"), WASM);
}

#[test]
fn a_gzip_stream_may_have_several_members() {
    let archive = tar(&[("plugin.wasm", WASM)]);
    let (head, tail) = archive.split_at(600);
    let members = [gzip(head), gzip(tail)].concat();
    assert_eq!(
        unpack(&members, Compression::Gzip, &limits()).as_deref(),
        Ok(WASM)
    );
}

#[test]
fn a_bomb_is_stopped_by_its_ratio_or_its_size() {
    let zeros = gzip(&vec![0; 3 << 20]);
    let refused = decompress(&zeros, &limits()).expect_err("refused").to_string();
    assert!(refused.contains("100 times its size"), "{refused}");
    let patient = Limits {
        compression_ratio: u64::MAX,
        ..limits()
    };
    let refused = decompress(&gzip(&vec![0; 5 << 20]), &patient)
        .expect_err("refused")
        .to_string();
    assert!(
        refused.contains("more than the limit of 4194304 bytes"),
        "{refused}"
    );
    let stuffed = tar(&[("padding", &vec![0; 5 << 20]), ("plugin.wasm", WASM)]);
    let refused = unpack(&gzip(&stuffed), Compression::Gzip, &limits())
        .expect_err("refused")
        .to_string();
    assert!(refused.contains("decompression bomb"), "{refused}");
}

#[test]
fn claimed_sizes_are_checked_before_anything_is_read() {
    let mut archive = tar(&[]);
    archive.splice(
        0..0,
        header(b"plugin.wasm", EntryType::Regular, 1 << 33)
            .as_bytes()
            .iter()
            .copied(),
    );
    check_refused(&archive, "8589934592 bytes; the limit is 1048576");
    let mut archive = tar(&[]);
    archive.splice(
        0..0,
        header(b"plugin.wasm", EntryType::Regular, 2_000)
            .as_bytes()
            .iter()
            .copied(),
    );
    check_refused(&archive, "ends within a file");
    let mut archive = tar(&[("plugin.wasm", WASM)]);
    archive.splice(
        0..0,
        header(b"other", EntryType::Regular, u64::MAX)
            .as_bytes()
            .iter()
            .copied(),
    );
    check_refused(&archive, "archive is damaged");
}

#[test]
fn extended_headers_are_bounded() {
    let name = vec![b'n'; 70_000];
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ] {
        let first = header(b"x", kind, name.len() as u64);
        check_refused(&after(&first, &name), "extended header of 70000 bytes");
    }
    let first = header(b"x", EntryType::XHeader, 4);
    check_refused(&after(&first, b"9 x\n"), "archive is damaged");
}

#[test]
fn two_sizes_for_one_file_are_refused() {
    let first = header(b"x", EntryType::XHeader, 12);
    check_refused(&after(&first, b"12 size=999\n"), "two sizes");
    check_refused(&after(&first, b"12 size=abc\n"), "no number");
    let first = header(b"x", EntryType::XGlobalHeader, 12);
    check_refused(&after(&first, b"12 size=999\n"), "global header");
}

#[test]
fn paths_that_lead_outside_are_refused() {
    check_refused(&tar(&[("../plugin.wasm", WASM)]), "leads outside");
    check_refused(&tar(&[("/plugin.wasm", WASM)]), "leads outside");
    check_refused(
        &tar(&[("a/../../b", b""), ("plugin.wasm", WASM)]),
        "leads outside",
    );
    let mut builder = Builder::new(Vec::new());
    builder
        .append_pax_extensions([("path", b"plugin.wasm\0/../x".as_slice())])
        .expect("written");
    builder
        .append(&header(b"short", EntryType::Regular, 0), &[][..])
        .expect("written");
    check_refused(&builder.into_inner().expect("written"), "leads outside");
}

#[test]
fn links_devices_sparse_files_and_doubles_are_refused() {
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Fifo,
    ] {
        let first = header(b"plugin.wasm", kind, 0);
        check_refused(&after(&first, b""), "not a file");
    }
    let first = header(b"plugin.wasm", EntryType::GNUSparse, 0);
    check_refused(&after(&first, b""), "sparse");
    let first = header(b"x", EntryType::XHeader, 22);
    check_refused(&after(&first, b"22 GNU.sparse.major=1\n"), "sparse");
    check_refused(&tar(&[("plugin.wasm", WASM), ("./plugin.wasm", WASM)]), "twice");
}

#[test]
fn the_number_of_entries_is_bounded() {
    let many: Vec<(&str, &[u8])> = vec![("x", b""); 30];
    check_refused(&tar(&many), "more than 20 entries");
}

#[test]
fn damage_is_an_error_wherever_it_is() {
    let archive = tar(&[("plugin.wasm", WASM)]);
    check_refused(&archive[..520], "ends within a file");
    check_refused(&[&b"x"[..], &archive[..]].concat(), "damaged");
    let compressed = gzip(&archive);
    let cut = &compressed[..compressed.len() / 2];
    assert!(unpack(cut, Compression::Gzip, &limits()).is_err());
    assert!(unpack(&archive, Compression::Gzip, &limits()).is_err());
    assert!(unpack(b"", Compression::Gzip, &limits()).is_err());
}

#[test]
fn what_is_not_wasm_is_told_apart() {
    assert!(check_wasm(WASM).is_ok());
    let check = |bytes: &[u8], words: &str| {
        let refused = check_wasm(bytes).expect_err("refused").to_string();
        assert!(refused.contains(words), "{refused}");
    };
    check(b"", "empty");
    check(b"<!doctype html>", "web page");
    check(b"(module)", "not Wasm");
}
