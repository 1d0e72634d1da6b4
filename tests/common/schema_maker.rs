//! From the source of serializable types to a JSON Schema, by the rules of serde that these types use.
#![allow(unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use syn::{Attribute, Fields, GenericArgument, Item, ItemEnum, ItemStruct, Meta, PathArguments, Type, Variant};

enum Kind {
    Struct(ItemStruct),
    Enum(ItemEnum),
}

/// The types of some source files, by name.
pub struct Types(BTreeMap<String, Kind>);

/// What serde is told about a type, a variant or a field: words, and words with a value.
struct Serde(Vec<(String, String)>);

impl Serde {
    fn of(attributes: &[Attribute]) -> Self {
        let mut told = Vec::new();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute
                .parse_nested_meta(|meta| {
                    let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                    let value = match meta.value() {
                        Ok(value) => value.parse::<syn::LitStr>()?.value(),
                        Err(_) => String::new(),
                    };
                    told.push((name, value));
                    Ok(())
                })
                .unwrap();
        }
        Self(told)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn named(&self, outer: &Self, name: &str) -> String {
        match (self.get("rename"), outer.get("rename_all")) {
            (Some(name), _) => name.to_owned(),
            (None, Some("kebab-case")) => kebab(name),
            (None, Some(other)) => panic!("rename_all = {other} is not known here"),
            (None, None) => name.to_owned(),
        }
    }
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(if letter == '_' { '-' } else { letter.to_ascii_lowercase() });
    }
    text
}

/// The comment above something, as prose.
fn comment(attributes: &[Attribute]) -> Option<String> {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else { return None };
        let syn::Expr::Lit(literal) = &meta.value else { return None };
        let syn::Lit::Str(text) = &literal.lit else { return None };
        Some(text.value().trim().to_owned())
    });
    let text = lines.collect::<Vec<_>>().join(" ").replace("[`", "`").replace("`]", "`");
    (!text.is_empty()).then_some(text)
}

fn described(mut schema: Value, attributes: &[Attribute]) -> Value {
    if let (Some(text), Some(object)) = (comment(attributes), schema.as_object_mut()) {
        object.insert("description".to_owned(), json!(text));
    }
    schema
}

impl Types {
    /// Reads files, and all files of directories.
    pub fn read(root: &Path, places: &[&str]) -> Self {
        let mut types = BTreeMap::new();
        for place in places.iter().map(|place| root.join(place)) {
            let files = if place.is_dir() {
                fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect()
            } else {
                vec![place]
            };
            for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs")) {
                for item in syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap().items {
                    match item {
                        Item::Struct(item) => types.insert(item.ident.to_string(), Kind::Struct(item)),
                        Item::Enum(item) => types.insert(item.ident.to_string(), Kind::Enum(item)),
                        _ => None,
                    };
                }
            }
        }
        Self(types)
    }

    /// The schema of one type, with all that it is made of, behind some words of its own.
    pub fn schema(&self, name: &str, head: &[(&str, &str)]) -> Value {
        let mut wanted = BTreeSet::new();
        let body = self.definition(name, &mut wanted);
        let mut made = BTreeMap::new();
        while let Some(next) = wanted.pop_first() {
            let definition = self.definition(&next, &mut wanted);
            made.insert(next, definition);
            wanted.retain(|name| !made.contains_key(name));
        }
        let mut schema: Map<String, Value> =
            head.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        schema.extend(body.as_object().unwrap().clone());
        schema.insert("$defs".to_owned(), json!(made));
        Value::Object(schema)
    }

    fn definition(&self, name: &str, wanted: &mut BTreeSet<String>) -> Value {
        match self.0.get(name).unwrap_or_else(|| panic!("{name} is not among the types that were read")) {
            Kind::Struct(item) => described(self.structure(item, wanted), &item.attrs),
            Kind::Enum(item) => described(self.choice(item, wanted), &item.attrs),
        }
    }

    fn structure(&self, item: &ItemStruct, wanted: &mut BTreeSet<String>) -> Value {
        let serde = Serde::of(&item.attrs);
        if serde.get("into") == Some("String") {
            return json!({ "type": "string" });
        }
        match &item.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => self.kind(&fields.unnamed[0].ty, wanted),
            fields => self.object(fields, &serde, wanted),
        }
    }

    fn object(&self, fields: &Fields, outer: &Serde, wanted: &mut BTreeSet<String>) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in fields {
            let serde = Serde::of(&field.attrs);
            if serde.get("skip").is_some() {
                continue;
            }
            if serde.get("flatten").is_some() {
                let inner = match self.0.get(&last_name(&field.ty)) {
                    Some(Kind::Struct(item)) => self.structure(item, wanted),
                    _ => panic!("only structures are flattened"),
                };
                properties.extend(inner["properties"].as_object().unwrap().clone());
                required.extend(inner["required"].as_array().unwrap().clone());
                continue;
            }
            let name = serde.named(outer, &field.ident.as_ref().unwrap().to_string());
            if serde.get("skip_serializing_if").is_none() {
                required.push(json!(name));
            }
            properties.insert(name, described(self.kind(&field.ty, wanted), &field.attrs));
        }
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    fn choice(&self, item: &ItemEnum, wanted: &mut BTreeSet<String>) -> Value {
        let serde = Serde::of(&item.attrs);
        // Those that only derive their names from serde write them as a text.
        if serde.get("into") == Some("String") || serde.get("remote") == Some("Self") {
            return json!({ "type": "string" });
        }
        let variants =
            item.variants.iter().map(|variant| described(self.variant(variant, &serde, wanted), &variant.attrs));
        // A text beside the known ones is one of them, too.
        let is_untagged = |variant: &Variant| Serde::of(&variant.attrs).get("untagged").is_some();
        let of = if item.variants.iter().any(is_untagged) { "anyOf" } else { "oneOf" };
        json!({ of: variants.collect::<Vec<_>>() })
    }

    fn variant(&self, variant: &Variant, outer: &Serde, wanted: &mut BTreeSet<String>) -> Value {
        let serde = Serde::of(&variant.attrs);
        let name = serde.named(outer, &variant.ident.to_string());
        let content = match &variant.fields {
            Fields::Unit => None,
            Fields::Unnamed(fields) => Some(self.kind(&fields.unnamed[0].ty, wanted)),
            fields @ Fields::Named(_) => Some(self.object(fields, &serde, wanted)),
        };
        match (outer.get("tag"), content) {
            (None, Some(content)) if serde.get("untagged").is_some() => content,
            (None, None) => json!({ "const": name }),
            (None, Some(content)) => {
                json!({ "type": "object", "properties": { &name: content }, "required": [name], "additionalProperties": false })
            }
            (Some(tag), content) => {
                let mut object = content.unwrap_or_else(
                    || json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false }),
                );
                assert!(object["properties"].is_object(), "{name}: only fields stand beside a tag");
                object["properties"][tag] = json!({ "const": name });
                object["required"].as_array_mut().unwrap().push(json!(tag));
                object
            }
        }
    }

    fn kind(&self, kind: &Type, wanted: &mut BTreeSet<String>) -> Value {
        let Type::Path(path) = kind else { panic!("only named types are known here") };
        let segment = path.path.segments.last().unwrap();
        let arguments: Vec<&Type> = match &segment.arguments {
            PathArguments::AngleBracketed(list) => {
                let types = list.args.iter();
                types
                    .filter_map(|argument| if let GenericArgument::Type(kind) = argument { Some(kind) } else { None })
                    .collect()
            }
            _ => Vec::new(),
        };
        match segment.ident.to_string().as_str() {
            "String" => json!({ "type": "string" }),
            // Made by a macro: a validated text each.
            "RunId" | "BootId" | "UnitName" => json!({ "type": "string" }),
            "bool" => json!({ "type": "boolean" }),
            "f64" => json!({ "type": "number" }),
            "u8" | "u16" | "u32" | "u64" | "usize" => json!({ "type": "integer", "minimum": 0 }),
            "i32" | "i64" => json!({ "type": "integer" }),
            "Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "SignedDuration" => json!({ "type": "string", "format": "duration", "pattern": "^-?P" }),
            "Option" => json!({ "anyOf": [self.kind(arguments[0], wanted), { "type": "null" }] }),
            "Box" => self.kind(arguments[0], wanted),
            "Vec" | "BTreeSet" => json!({ "type": "array", "items": self.kind(arguments[0], wanted) }),
            "BTreeMap" => json!({ "type": "object", "additionalProperties": self.kind(arguments[1], wanted) }),
            name => {
                wanted.insert(name.to_owned());
                json!({ "$ref": format!("#/$defs/{name}") })
            }
        }
    }
}

fn last_name(kind: &Type) -> String {
    let Type::Path(path) = kind else { return String::new() };
    path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}
