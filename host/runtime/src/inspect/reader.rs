//! Walks the sections of a binary and keeps what people want to know.

use wasmparser::{
    BinaryReader, CustomSectionReader, Imports, Parser, Payload, ProducersSectionReader, SectionLimited,
};

use super::{InspectError, Producer, SCHEMA_SECTION};

/// What stands in the sections of a binary.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) is_module: bool,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) schema: Option<String>,
    pub(super) producers: Vec<Producer>,
}

impl Outline {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, InspectError> {
        let mut outline = Self::default();
        // How many modules and components the reader is inside of.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding, .. } if depth == 0 => {
                    outline.is_module = encoding == wasmparser::Encoding::Module;
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                // A linker puts it into the module, which a tool wraps into a component.
                Payload::CustomSection(section) if depth <= 1 => outline.custom(&section)?,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        keep(&mut outline.imports, "imports", import?.name.name.to_owned())?;
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        keep(&mut outline.exports, "exports", export?.name.name.to_owned())?;
                    }
                }
                Payload::ImportSection(section) if depth == 0 => {
                    for imports in section {
                        outline.module_imports(imports?)?;
                    }
                }
                Payload::ExportSection(section) if depth == 0 => {
                    for export in section {
                        keep(&mut outline.exports, "exports", export?.name.to_owned())?;
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn module_imports(&mut self, imports: Imports<'_>) -> Result<(), InspectError> {
        let mut import =
            |module: &str, name: &str| keep(&mut self.imports, "imports", format!("{module}.{name}"));
        match imports {
            Imports::Single(_, single) => import(single.module, single.name),
            Imports::Compact1 { module, items } => {
                items.into_iter().try_for_each(|item| import(module, item?.name))
            }
            Imports::Compact2 { module, names, .. } => {
                names.into_iter().try_for_each(|name| import(module, name?))
            }
        }
    }

    fn custom(&mut self, section: &CustomSectionReader<'_>) -> Result<(), InspectError> {
        match section.name() {
            SCHEMA_SECTION => self.schema(section.data()),
            "producers" => {
                let reader = BinaryReader::new(section.data(), section.data_offset());
                // What cannot be read of it harms nobody.
                match ProducersSectionReader::new(reader) {
                    Ok(fields) => self.producers(fields),
                    Err(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn schema(&mut self, data: &[u8]) -> Result<(), InspectError> {
        if self.schema.is_some() {
            return Err(InspectError::Schema("is there twice"));
        }
        if data.len() > LARGEST_SCHEMA {
            return Err(InspectError::Schema("is larger than 256 KiB"));
        }
        let text = str::from_utf8(data).map_err(|_| InspectError::Schema("is not UTF-8"))?;
        self.schema = Some(text.to_owned());
        Ok(())
    }

    fn producers(
        &mut self,
        fields: SectionLimited<'_, wasmparser::ProducersField<'_>>,
    ) -> Result<(), InspectError> {
        for field in fields.into_iter().map_while(Result::ok) {
            for value in field.values.into_iter().map_while(Result::ok) {
                let producer = Producer {
                    field: field.name.to_owned(),
                    name: value.name.to_owned(),
                    version: value.version.to_owned(),
                };
                // A component repeats what its module says.
                if !self.producers.contains(&producer) {
                    keep(&mut self.producers, "producers", producer)?;
                }
            }
        }
        Ok(())
    }
}

fn keep<T>(list: &mut Vec<T>, what: &'static str, value: T) -> Result<(), InspectError> {
    let limit = if what == "producers" {
        MAX_PRODUCERS
    } else {
        MAX_NAMES
    };
    if list.len() >= limit {
        return Err(InspectError::TooMany { what, limit });
    }
    list.push(value);
    Ok(())
}

/// Imports, and exports. The largest modules that compilers make have a few thousand.
const MAX_NAMES: usize = 20_000;

const MAX_PRODUCERS: usize = 256;

const LARGEST_SCHEMA: usize = 256 << 10;
