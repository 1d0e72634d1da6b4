//! No file imports in a circle: each stands on a floor above all that it imports.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Tree, is_within};

type Imports = BTreeMap<String, BTreeSet<String>>;

fn imports(tree: &Tree) -> Imports {
    let of = |source| tree.imports(source).into_iter().map(|(module, _)| module).collect::<BTreeSet<_>>();
    let mut all: Imports = tree.sources.iter().map(|source| (source.module.clone(), of(source))).collect();
    for (module, named) in &mut all {
        // A folder's face names what is in it; that is where things are, and no import.
        named.retain(|name| name != module && !is_within(name, module));
    }
    all
}

/// Takes away what imports nothing that is left, and what nothing that is left imports; what stays is in circles.
fn circles(mut imports: Imports) -> Vec<String> {
    loop {
        let there: BTreeSet<String> = imports.keys().cloned().collect();
        let imported: BTreeSet<String> = imports.values().flatten().cloned().collect();
        imports.retain(|module, named| {
            named.retain(|name| there.contains(name));
            !named.is_empty() && imported.contains(module)
        });
        if imports.len() == there.len() {
            break;
        }
    }
    let line = |(module, named): (String, BTreeSet<String>)| {
        format!("{module} -> {}", named.into_iter().collect::<Vec<_>>().join(", "))
    };
    imports.into_iter().map(line).collect()
}

#[test]
fn no_file_imports_in_a_circle() {
    let files = super::tidy::files_below("src", &["rs"]);
    let tree = Tree::new(files.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    let found = circles(imports(&tree));
    assert!(found.is_empty(), "these import each other, or lie between such:\n{found:#?}");
}

#[test]
fn a_circle_is_found_through_a_re_export() {
    let house = |last: &'static str| {
        Tree::new([
            ("src/lib.rs", "pub mod a;"),
            ("src/a/mod.rs", "mod b;\nmod c;\npub use c::C;\npub fn f() { b::g() }"),
            ("src/a/b.rs", "use super::C;\npub fn g() {}"),
            ("src/a/c.rs", last),
        ])
    };
    assert_eq!(circles(imports(&house("pub struct C;"))), Vec::<String>::new());
    assert_eq!(circles(imports(&house("use super::f;\npub struct C;"))), Vec::<String>::new());
    assert_eq!(circles(imports(&house("use super::b::g;\npub struct C;"))).len(), 2);
}
