//! Manifest files → objects. Every defect of every object is reported, with its place and the fix; the
//! objects without defects are handed on.

mod diagnostic;
mod name;
mod rule;
mod schema;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use weir_crds::{Kind, Object, Scope};

pub use diagnostic::{Diagnostic, Severity};

use yaml::Node;

/// The text of one manifest file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// How diagnostics name the file.
    pub path: PathBuf,
    /// The folder that relative paths in its objects start from; absolute.
    pub folder: PathBuf,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// The largest file that is read.
    pub const MAX_BYTES: usize = 8 << 20;

    /// A file whose path is absolute already.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let path = path.into();
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Self {
            path,
            folder,
            text: text.into(),
        }
    }
}

/// What a set of manifest files holds.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The objects that have no defect, in order of appearance.
    pub objects: Vec<Object>,
    /// What is wrong or left out.
    pub diagnostics: Vec<Diagnostic>,
    /// Where each object was defined, as `file:line`, by `Kind namespace/name`.
    pub places: BTreeMap<String, String>,
}

impl Parsed {
    /// Whether anything is wrong, as opposed to merely left out.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|it| it.severity == Severity::Error)
    }
}

/// Reads manifest files.
pub fn parse(files: &[SourceFile]) -> Parsed {
    let mut parser = Parser {
        seen: BTreeMap::new(),
        parsed: Parsed::default(),
    };
    for file in files {
        parser.file(file);
    }
    parser.parsed
}

/// Kinds that manifests of a gateway often hold beside it, and that the gateway does without.
const LEFT_OUT: [&str; 7] = [
    "ConfigMap",
    "CustomResourceDefinition",
    "DaemonSet",
    "Deployment",
    "Pod",
    "ServiceAccount",
    "StatefulSet",
];

struct Parser {
    /// Where each object was first defined.
    seen: BTreeMap<(Kind, String), String>,
    parsed: Parsed,
}

impl Parser {
    fn file(&mut self, file: &SourceFile) {
        if file.text.len() > SourceFile::MAX_BYTES {
            let size = file.text.len().div_ceil(1 << 20);
            let limit = SourceFile::MAX_BYTES >> 20;
            self.report(
                file,
                1,
                format!("the file has {size} MiB; files of up to {limit} MiB are read, so split it"),
            );
            return;
        }
        let documents = yaml::split(&file.text);
        if documents.is_empty() {
            self.report(
                file,
                1,
                "the file holds no objects; delete it or write one".to_owned(),
            );
        }
        for document in documents {
            match yaml::read(&document) {
                Ok(None) => {}
                Ok(Some(node)) => self.document(file, &node),
                Err((line, message)) => self.report(file, line, message),
            }
        }
    }

    /// One document: an object, or a list of them.
    fn document(&mut self, file: &SourceFile, node: &Node) {
        let (kind, version) = (node.text("kind"), node.text("apiVersion"));
        if kind != Some("List") || version != Some("v1") {
            self.object(file, node);
            return;
        }
        match node.member("items") {
            Some(items) if items.is_sequence() => {
                for item in items.items() {
                    self.object(file, item);
                }
            }
            _ => self.report(
                file,
                node.line,
                "kind List: the field \"items\" must be a list of objects".to_owned(),
            ),
        }
    }

    fn object(&mut self, file: &SourceFile, node: &Node) {
        let name = name::of(node);
        let kind = match name::kind(node, &LEFT_OUT) {
            Ok(kind) => kind,
            Err((severity, field, message)) => {
                let line = field
                    .and_then(|field| node.member(field))
                    .map_or(node.line, |it| it.line);
                let (file, object) = (file.path.clone(), name);
                let field = field.map(str::to_owned);
                self.parsed.diagnostics.push(Diagnostic {
                    severity,
                    file,
                    line,
                    object,
                    field,
                    message,
                });
                return;
            }
        };
        let mut value = node.to_json();
        drop_nulls(&mut value);
        let defects = schema::check(kind, &value);
        if !defects.is_empty() {
            self.defects(file, node, &name, defects);
            return;
        }
        match Object::read(kind, value) {
            Ok(object) => self.typed(file, node, object),
            Err(error) => self.defects(file, node, &name, vec![(String::new(), error.to_string())]),
        }
    }

    fn typed(&mut self, file: &SourceFile, node: &Node, mut object: Object) {
        let kind = object.kind();
        let metadata = object.metadata_mut();
        match kind.scope() {
            Scope::Cluster => metadata.namespace = None,
            Scope::Namespaced => drop(metadata.namespace.get_or_insert_with(|| "default".to_owned())),
        }
        let path = metadata.path();
        let name = Some(format!("{kind} {path}"));
        let here = format!("{}:{}", file.path.display(), node.line);
        if let Some(first) = self.seen.get(&(kind, path.clone())) {
            let message = format!("is already defined at {first}; rename or delete one of the two");
            self.defects(file, node, &name, vec![("metadata.name".to_owned(), message)]);
            return;
        }
        self.parsed.places.insert(format!("{kind} {path}"), here.clone());
        self.seen.insert((kind, path), here);
        let defects = rule::check(&object);
        if !defects.is_empty() {
            self.defects(file, node, &name, defects);
            return;
        }
        if let Some(notice) = rule::notice(&object) {
            self.push(Severity::Notice, file, node, &name, notice);
        }
        if let Object::Plugin(plugin) = &mut object
            && let Some(source) = &mut plugin.spec.source.file
        {
            source.path = absolute(&file.folder, &source.path);
        }
        self.parsed.objects.push(object);
    }

    fn defects(
        &mut self,
        file: &SourceFile,
        node: &Node,
        name: &Option<String>,
        defects: Vec<(String, String)>,
    ) {
        let mut defects = defects;
        defects.sort_by_key(|(field, _)| node.line_of(field));
        for defect in defects {
            self.push(Severity::Error, file, node, name, defect);
        }
    }

    fn push(
        &mut self,
        severity: Severity,
        file: &SourceFile,
        node: &Node,
        name: &Option<String>,
        (field, message): (String, String),
    ) {
        let (file, object, line) = (file.path.clone(), name.clone(), node.line_of(&field));
        let field = Some(field).filter(|field| !field.is_empty());
        self.parsed.diagnostics.push(Diagnostic {
            severity,
            file,
            line,
            object,
            field,
            message,
        });
    }

    fn report(&mut self, file: &SourceFile, line: u64, message: String) {
        let file = file.path.clone();
        let severity = Severity::Error;
        self.parsed.diagnostics.push(Diagnostic {
            severity,
            file,
            line,
            object: None,
            field: None,
            message,
        });
    }
}

/// A field that is null counts as absent, as the API server has it. What is opaque to us stays as it is.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, it| !it.is_null());
            for (name, member) in members {
                if name != "config" && name != "jsonFormat" {
                    drop_nulls(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Joins by text alone: `.` and `..` are resolved without looking at the disk.
fn absolute(folder: &Path, path: &str) -> String {
    let mut joined = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(joined.pop()),
            part => joined.push(part),
        }
    }
    joined.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_file_is_refused_unread() {
        let text = "#".repeat(SourceFile::MAX_BYTES + 1);
        let parsed = parse(&[SourceFile::new("/a.yaml", text)]);
        let message = parsed.diagnostics.first().map(|it| it.message.as_str());
        assert_eq!(
            message,
            Some("the file has 9 MiB; files of up to 8 MiB are read, so split it")
        );
    }

    #[test]
    fn paths_of_plugins_start_at_the_folder_of_the_manifest() {
        let check =
            |path: &str, expect: &str| assert_eq!(absolute(Path::new("/etc/weir"), path), expect, "{path}");
        check("plugins/a.wasm", "/etc/weir/plugins/a.wasm");
        check("./../a.wasm", "/etc/a.wasm");
        check("/opt/a.wasm", "/opt/a.wasm");
    }
}
