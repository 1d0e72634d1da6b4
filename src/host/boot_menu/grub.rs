//! The menu that `grub-mkconfig` writes: which entry starts which kernel, and which is the default. Pure.

use std::collections::BTreeMap;

use super::Started;

/// What matters of `/boot/grub/grub.cfg`.
#[derive(Debug, PartialEq, Eq)]
pub struct Menu {
    /// Whether the default is the saved entry.
    pub takes_saved_entry: bool,
    /// What the menu sets the default to, as it is written.
    default: String,
    /// Whether the menu takes an entry once where it is told to.
    takes_next_entry: bool,
    items: Vec<Item>,
}

/// An entry, or a submenu with its own.
#[derive(Debug, PartialEq, Eq, Default)]
struct Item {
    title: String,
    id: String,
    is_menu: bool,
    items: Vec<Item>,
    /// The kernel's image, as in `/boot/vmlinuz-6.1.0-50-amd64`.
    image: Option<String>,
    initrds: Vec<String>,
    /// What the kernel is told, as it is written; none if an entry has several lines that start one, of which a condition
    /// chooses.
    options: Option<String>,
}

/// What GRUB's menu and its environment say of the next boot.
#[derive(Debug, PartialEq, Eq)]
pub struct Default<'a> {
    /// What it starts; none if that is no Linux, or where the menu has no entry.
    pub starts: Option<Started<'a>>,
    /// What that is told, as it is written; none if it is not known.
    pub options: Option<&'a str>,
    /// It is the default of the next boot alone.
    pub once: bool,
    /// A newer kernel would become its first entry, and its default.
    pub follows_newest: bool,
    /// Which of GRUB's rules says so.
    pub why: String,
}

/// GRUB's word before the ID of an entry, which the menu's own variable stands for.
const ID_OPTIONS: [&str; 2] = ["$menuentry_id_option", "--id"];
const SAVED_ENTRY: &str = "${saved_entry}";
const NEXT_ENTRY: &str = "${next_entry}";

/// The variables of `grubenv`, as `grub-editenv list` says them.
pub fn environment(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

impl Menu {
    /// Reads the menu. What it does not understand it passes over.
    pub fn parse(text: &str) -> Self {
        let mut menu =
            Self { takes_saved_entry: false, default: String::new(), takes_next_entry: false, items: Vec::new() };
        // What is open: a menu or an entry, or none for a function.
        let mut open: Vec<Option<Item>> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line == "}" {
                if let Some(Some(item)) = open.pop() {
                    let around = open.iter_mut().rev().flatten().next();
                    around.map_or(&mut menu.items, |around| &mut around.items).push(item);
                }
            } else if line.ends_with('{') {
                open.push(item(line));
            } else if let Some(value) = line.strip_prefix("set default=") {
                let value = value.trim_matches(['"', '\'']);
                menu.takes_next_entry |= value == NEXT_ENTRY;
                menu.takes_saved_entry |= value == SAVED_ENTRY;
                if value != NEXT_ENTRY && open.is_empty() {
                    value.clone_into(&mut menu.default);
                }
            } else if let Some(Some(entry)) = open.last_mut() {
                entry.hear(line);
            }
        }
        menu
    }

    /// The entry that starts this kernel as it usually is, by the IDs that lead to it. The first entry of the menu starts
    /// whichever is the newest, so that only those which name the kernel count.
    pub fn entry_of(&self, release: &str) -> Option<String> {
        let image = format!("vmlinuz-{release}");
        self.items.iter().find_map(|item| {
            item.find(&[], &|item, path| {
                let starts_it = item.image.as_deref().is_some_and(|path| path.rsplit('/').next() == Some(&image));
                (starts_it && item.id.contains(release) && !path.contains("-recovery-")).then(|| path.to_owned())
            })
        })
    }

    /// Every kernel that an entry starts.
    pub fn images(&self) -> Vec<&str> {
        let mut images = Vec::new();
        self.items.iter().for_each(|item| item.images(&mut images));
        images
    }

    /// Whether any entry loads an initrd.
    pub fn has_initrds(&self) -> bool {
        fn any(item: &Item) -> bool {
            !item.initrds.is_empty() || item.items.iter().any(any)
        }
        self.items.iter().any(any)
    }

    /// What GRUB starts where nobody chooses, by its menu and by its environment.
    pub fn default(&self, environment: &BTreeMap<&str, &str>) -> Default<'_> {
        let set = |name: &str| environment.get(name).copied().filter(|value| !value.is_empty());
        if self.takes_next_entry
            && let Some(next) = set("next_entry")
        {
            return Default {
                follows_newest: false,
                once: true,
                ..self.resolve(next, &format!("it takes {next} once (next_entry)"))
            };
        }
        if self.default == SAVED_ENTRY {
            return match set("saved_entry") {
                Some(saved) => self.resolve(saved, &format!("the saved entry is its default, {saved}")),
                None => self.resolve("0", "no entry is saved, so that the first one is its default"),
            };
        }
        match self.default.as_str() {
            "" | "0" => self.resolve("0", "its first entry is its default"),
            other => self.resolve(other, &format!("its default is set to {other}")),
        }
    }

    /// As GRUB does: by number, by ID or by title, level by level; what names nothing is the first entry.
    fn resolve(&self, path: &str, why: &str) -> Default<'_> {
        let mut items = self.items.as_slice();
        let mut why = why.to_owned();
        let mut parts = path.split('>');
        loop {
            let part = parts.next().unwrap_or("0");
            let found = match part.parse::<usize>() {
                Ok(number) => items.get(number).map(|item| (item, number == 0)),
                Err(_) => items.iter().find(|item| item.id == part || item.title == part).map(|item| (item, false)),
            };
            if found.is_none() {
                why.push_str("; there is no such entry, so that the first one counts");
            }
            match found.or(items.first().map(|item| (item, true))) {
                Some((item, _)) if item.is_menu && !item.items.is_empty() => items = &item.items,
                Some((item, is_first)) => {
                    let starts = item.image.as_deref().map(|image| Started { image, initrds: &item.initrds });
                    if starts.is_none() {
                        why.push_str(&format!("; {} starts no Linux", item.title));
                    }
                    // The first entry of a menu is that of the newest kernel, and so is one that names none.
                    let follows_newest = starts.is_some() && (is_first || !item.names_its_kernel());
                    return Default { starts, options: item.options.as_deref(), once: false, follows_newest, why };
                }
                None => {
                    let why = "its menu has no entry".to_owned();
                    return Default { starts: None, options: None, once: false, follows_newest: false, why };
                }
            }
        }
    }
}

impl Item {
    fn hear(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("linux" | "linux16" | "linuxefi") => {
                let is_only = self.image.is_none();
                self.image = words.next().map(str::to_owned);
                self.options = is_only.then(|| words.collect::<Vec<_>>().join(" "));
            }
            Some("initrd" | "initrd16" | "initrdefi") => self.initrds.extend(words.map(str::to_owned)),
            _ => {}
        }
    }

    fn names_its_kernel(&self) -> bool {
        let release = self.image.as_deref().and_then(|image| image.rsplit('/').next()?.split_once('-'));
        release.is_some_and(|(_, release)| self.id.contains(release) || self.title.contains(release))
    }

    fn find(&self, above: &[&str], wanted: &dyn Fn(&Self, &str) -> Option<String>) -> Option<String> {
        let path = [above, &[self.id.as_str()]].concat();
        wanted(self, &path.join(">")).or_else(|| self.items.iter().find_map(|item| item.find(&path, wanted)))
    }

    fn images<'a>(&'a self, images: &mut Vec<&'a str>) {
        images.extend(self.image.as_deref());
        self.items.iter().for_each(|item| item.images(images));
    }
}

/// A line that opens an entry or a submenu.
fn item(line: &str) -> Option<Item> {
    let (word, rest) = line.split_once(' ')?;
    let is_menu = match word {
        "menuentry" => false,
        "submenu" => true,
        _ => return None,
    };
    let title = quoted(rest.trim_start()).unwrap_or_default();
    let id = ID_OPTIONS.iter().find_map(|option| line.split_once(option)).and_then(|(_, id)| quoted(id.trim_start()));
    Some(Item { id: id.unwrap_or_default(), title, is_menu, ..Item::default() })
}

/// The first word, which quotes may hold together.
fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let word = match quote {
        Some(quote) => text.get(1..)?.split(quote).next()?,
        None => text.split_whitespace().next()?,
    };
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `grub-mkconfig` 2.06 of Debian 12, with two kernels and `GRUB_DEFAULT=saved`.
    const DEBIAN_12: &str = include_str!("../../../tests/fixtures/grub/debian-12.cfg");
    const DISK: &str = "7075255d-a526-479f-a7c0-94737a7a52e8";
    const NEW: &str = "/boot/vmlinuz-6.1.0-56-cloud-amd64";
    const OLD: &str = "/boot/vmlinuz-6.1.0-50-cloud-amd64";

    #[test]
    fn an_entry_is_named_with_its_submenu_and_is_that_of_one_kernel() {
        let menu = Menu::parse(DEBIAN_12);
        assert!(menu.takes_saved_entry && menu.has_initrds());
        for release in ["6.1.0-50-cloud-amd64", "6.1.0-56-cloud-amd64"] {
            let expected = format!("gnulinux-advanced-{DISK}>gnulinux-{release}-advanced-{DISK}");
            assert_eq!(menu.entry_of(release), Some(expected));
        }
        for unknown in ["6.1.0-5", "6.1.0-50", "6.1.0-99-cloud-amd64"] {
            assert_eq!(menu.entry_of(unknown), None, "{unknown}");
        }
        assert_eq!(menu.images(), [NEW, NEW, NEW, OLD, OLD]);
    }

    #[test]
    fn without_submenus_the_entry_stands_alone_and_a_fixed_default_is_seen() {
        let submenu = DEBIAN_12.lines().filter(|line| !line.starts_with("submenu "));
        let flat: Vec<&str> = submenu.map(str::trim).collect();
        // The submenu's own end.
        let flat = flat.join("\n").replacen("}\n}\n", "}\n", 1).replace("default=\"${saved_entry}\"", "default=\"0\"");
        let menu = Menu::parse(&flat);
        assert!(!menu.takes_saved_entry);
        let entry = menu.entry_of("6.1.0-50-cloud-amd64").unwrap();
        assert!(entry.starts_with("gnulinux-6.1.0-50-cloud-amd64-advanced-"), "{entry}");
        assert!(!entry.contains('>') && !entry.contains("recovery"), "{entry}");
    }

    /// What `set default=` says, what the environment does, which kernel starts, and whether a newer one would.
    #[test]
    fn the_default_is_resolved_as_grub_does() {
        let by_id = format!("gnulinux-advanced-{DISK}>gnulinux-6.1.0-50-cloud-amd64-advanced-{DISK}");
        let by_title = "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-50-cloud-amd64";
        let simple = format!("gnulinux-simple-{DISK}");
        let saved = |entry: &str| format!("# GRUB Environment Block\nsaved_entry={entry}\n####");
        let rows = [
            ("0", String::new(), NEW, true),
            ("", String::new(), NEW, true),
            ("1>2", String::new(), OLD, false),
            ("1", String::new(), NEW, true),
            (by_id.as_str(), String::new(), OLD, false),
            (by_title, String::new(), OLD, false),
            (simple.as_str(), String::new(), NEW, true),
            ("${saved_entry}", String::new(), NEW, true),
            ("${saved_entry}", saved(""), NEW, true),
            ("${saved_entry}", saved(&by_id), OLD, false),
            ("${saved_entry}", saved("1>2"), OLD, false),
            ("${saved_entry}", saved("0") + "\nnext_entry=1>2\n", OLD, false),
            // What a removed kernel leaves behind.
            ("gnulinux-advanced-gone>gnulinux-gone", String::new(), NEW, true),
            ("17", String::new(), NEW, true),
        ];
        for (default, grubenv, image, follows_newest) in rows {
            let text = DEBIAN_12.replace("default=\"${saved_entry}\"", &format!("default=\"{default}\""));
            let menu = Menu::parse(&text);
            let seen = menu.default(&environment(&grubenv));
            let started = seen.starts.as_ref().map(|started| started.image);
            assert_eq!(
                (started, seen.follows_newest),
                (Some(image), follows_newest),
                "{default} {grubenv}: {}",
                seen.why
            );
            assert_eq!(seen.starts.unwrap().initrds.len(), 1);
        }
    }

    #[test]
    fn what_is_no_menu_has_no_entry() {
        for text in ["", "}", "menuentry 'x' {\nlinux", "submenu {{{\n}}}"] {
            let menu = Menu::parse(text);
            assert_eq!((menu.entry_of("1"), menu.takes_saved_entry), (None, false), "{text:?}");
            assert_eq!(menu.default(&BTreeMap::new()).starts, None, "{text:?}");
        }
        let windows = Menu::parse("menuentry 'Windows' {\n chainloader /EFI/x.efi\n}");
        let seen = windows.default(&BTreeMap::new());
        assert!(seen.starts.is_none() && seen.why.ends_with("Windows starts no Linux"), "{}", seen.why);
    }

    #[test]
    fn spoiled_text_is_survived() {
        crate::host::hostile::survives(&[DEBIAN_12], |text| {
            let menu = Menu::parse(text);
            let _ = (menu.default(&environment(text)), menu.entry_of("6.1.0-50-cloud-amd64"));
        });
    }
}
