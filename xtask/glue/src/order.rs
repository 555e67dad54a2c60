//! The order of functions: those that are alike beside one another.
//!
//! A generic function is there once for each of its types, and the copies differ in few bytes. A compressor with a short memory, as
//! gzip is, finds that only where they lie close together. Sorted by their names they do, and the compressed module is about a
//! sixth smaller. Names are dropped on the way: nobody but this needs them.

use std::collections::HashMap;

use wasm_encoder::{
    CodeSection, FunctionSection, Module,
    reencode::{Error, Reencode},
};
use wasmparser::{
    BinaryReaderError, CodeSectionReader, CustomSectionReader, FunctionSectionReader, KnownCustom, Name, Parser,
    Payload, TypeRef,
};

/// The same module in another order, without names.
pub(crate) fn by_name(module: &[u8]) -> Result<Vec<u8>, Error> {
    let mut order = Order::of(module)?;
    let mut ordered = Module::new();
    order.parse_core_module(&mut ordered, Parser::new(0), module)?;
    Ok(ordered.finish())
}

/// Which function goes where.
struct Order {
    /// How many functions are imported: these keep their places.
    imported: u32,
    /// The others as they will stand, by their present places among themselves.
    sorted: Vec<usize>,
    /// And where each of them will be.
    place: Vec<u32>,
}

impl Order {
    fn of(module: &[u8]) -> Result<Self, BinaryReaderError> {
        let (mut imported, mut count) = (0, 0);
        let mut names: HashMap<u32, &str> = HashMap::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => count = section.count(),
                Payload::CustomSection(section) => {
                    let KnownCustom::Name(sections) = section.as_known() else { continue };
                    for section in sections {
                        let Name::Function(functions) = section? else { continue };
                        for naming in functions {
                            let naming = naming?;
                            names.insert(naming.index, without_hash(naming.name));
                        }
                    }
                }
                _ => {}
            }
        }
        let name = |at: usize| u32::try_from(at).ok().and_then(|at| names.get(&(imported + at)).copied());
        let mut sorted: Vec<usize> = (0..count as usize).collect();
        sorted.sort_by_key(|at| name(*at));
        let mut place = vec![0; sorted.len()];
        for (new, old) in (imported..).zip(&sorted) {
            place[*old] = new;
        }
        Ok(Self { imported, sorted, place })
    }
}

impl Reencode for Order {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        let Some(defined) = function.checked_sub(self.imported) else { return Ok(function) };
        Ok(self.place[defined as usize])
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for at in &self.sorted {
            functions.function(types[*at]);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<(), Error> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for at in self.sorted.clone() {
            self.parse_function_body(code, bodies[at].clone())?;
        }
        Ok(())
    }

    fn parse_custom_section(&mut self, module: &mut Module, section: CustomSectionReader<'_>) -> Result<(), Error> {
        if section.name() == "name" {
            return Ok(());
        }
        wasm_encoder::reencode::utils::parse_custom_section(self, module, section)
    }
}

/// A mangled name but for the hash that tells one copy of a generic function from another.
fn without_hash(name: &str) -> &str {
    name.rfind("17h").map_or(name, |at| &name[..at])
}
