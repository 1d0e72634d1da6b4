//! Small real packages, in two versions: one installed, one pending. They take their time, so that a fault can hit every
//! stage of dpkg's work.

use crate::furnish::{REPOSITORY, in_tree, listed};
use crate::process::run;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Recipe {
    name: &'static str,
    depends: &'static str,
    files: usize,
    seconds: u32,
}

const RECIPES: [Recipe; 6] = [
    Recipe { name: "lab-runtime", depends: "", files: 150, seconds: 1 },
    Recipe { name: "lab-daemon", depends: "lab-runtime", files: 30, seconds: 2 },
    Recipe { name: "lab-data", depends: "", files: 250, seconds: 1 },
    Recipe { name: "lab-plugins", depends: "lab-daemon, lab-data", files: 60, seconds: 1 },
    Recipe { name: "lab-tools", depends: "lab-runtime", files: 80, seconds: 1 },
    Recipe { name: "lab-server", depends: "lab-daemon, lab-plugins, lab-tools", files: 10, seconds: 1 },
];

/// The packages for which an upgrade is pending on every UML machine.
pub const PENDING: [&str; 6] = ["lab-runtime", "lab-daemon", "lab-data", "lab-plugins", "lab-tools", "lab-server"];

/// Changed with anything here, so that a new image is built.
pub(crate) const VERSION: u32 = 1;

/// Builds the packages below a directory, with the list (`Packages`) of the newer ones. The older ones are in
/// `1.0`, the newer ones in `2.0`.
fn build(directory: &Path) -> Result<()> {
    for version in ["1.0", "2.0"] {
        fs::create_dir_all(directory.join(version))?;
        let mut list = String::new();
        for recipe in &RECIPES {
            build_one(recipe, version, directory).with_context(|| format!("cannot build {} {version}", recipe.name))?;
            list += &listed(directory, &format!("{version}/{}.deb", recipe.name))?;
        }
        fs::write(directory.join("Packages"), list)?;
    }
    Ok(())
}

/// Has the older ones installed in a tree, and the newer ones pending in a repository of its own, whose directory is returned.
pub(crate) fn install(root: &Path) -> Result<PathBuf> {
    let repository = root.join(REPOSITORY.trim_start_matches('/'));
    build(&repository)?;
    let installed: Vec<String> = PENDING.iter().map(|name| format!("{REPOSITORY}/1.0/{name}.deb")).collect();
    let mut install = vec!["dpkg", "--install"];
    install.extend(installed.iter().map(String::as_str));
    in_tree(root, &install)?;
    Ok(repository)
}

/// Builds one package.
fn build_one(recipe: &Recipe, version: &str, directory: &Path) -> Result<()> {
    let Recipe { name, depends, files, seconds } = recipe;
    let tree = directory.join(format!("{name}.tree"));
    let debian = tree.join("DEBIAN");
    let share = tree.join("usr/share").join(name);
    for directory in [&debian, &share, &tree.join("etc")] {
        fs::create_dir_all(directory)?;
    }
    for number in 0..*files {
        let text = format!("{name} {version} file {number}\n").repeat(40);
        fs::write(share.join(format!("part-{number:03}")), text)?;
    }
    fs::write(tree.join(format!("etc/{name}.conf")), format!("# settings of {name} {version}\n"))?;
    fs::write(debian.join("conffiles"), format!("/etc/{name}.conf\n"))?;
    let mut control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Patchday lab <lab@localhost>\n\
         Description: part of a service that takes its time to upgrade\n"
    );
    if !depends.is_empty() {
        writeln!(control, "Depends: {depends}")?;
    }
    fs::write(debian.join("control"), &control)?;
    // The old version is installed while the image is built; there, time is only lost.
    let pause = if version == "1.0" { String::new() } else { format!("sleep {seconds}\n") };
    for script in ["preinst", "postinst"] {
        let path = debian.join(script);
        fs::write(&path, format!("#!/bin/sh\nset -e\n{pause}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let package = directory.join(version).join(format!("{name}.deb"));
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).arg(&tree).arg(package))?;
    fs::remove_dir_all(&tree).map_err(Into::into)
}
