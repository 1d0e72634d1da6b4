//! The menu that `grub-mkconfig` writes: which entry starts which kernel. Pure.

/// What matters of `/boot/grub/grub.cfg`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Menu {
    /// Whether the default is the saved entry.
    pub(super) takes_saved_entry: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// The IDs of its submenus and its own, joined by `>`.
    path: String,
    /// The kernel's image, as in `/boot/vmlinuz-6.1.0-50-amd64`.
    image: String,
}

/// GRUB's word before the ID of an entry, which the menu's own variable stands for.
const ID_OPTIONS: [&str; 2] = ["$menuentry_id_option", "--id"];

impl Menu {
    pub(super) fn parse(text: &str) -> Self {
        let mut menu = Self { takes_saved_entry: false, entries: Vec::new() };
        // What is open: the ID of a menu or an entry, or none for a function.
        let mut open: Vec<Option<String>> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line == "}" {
                open.pop();
            } else if line.ends_with('{') {
                let is_of_menu = line.starts_with("menuentry ") || line.starts_with("submenu ");
                open.push(if is_of_menu { id(line) } else { None });
            } else if line == "set default=\"${saved_entry}\"" {
                menu.takes_saved_entry = true;
            } else if let Some(image) = image(line)
                && let Some(ids) = open.iter().cloned().collect::<Option<Vec<String>>>().filter(|ids| !ids.is_empty())
            {
                menu.entries.push(Entry { path: ids.join(">"), image: image.to_owned() });
            }
        }
        menu
    }

    /// The entry that starts this kernel as it usually is. The first entry of the menu starts whichever is the newest,
    /// so that only those which name the kernel count.
    pub(super) fn entry_of(&self, release: &str) -> Option<&str> {
        let starts_it = |entry: &&Entry| entry.image.rsplit('/').next() == Some(&format!("vmlinuz-{release}"));
        let own = |entry: &&Entry| entry.path.rsplit('>').next().is_some_and(|id| id.contains(release));
        let usual = |entry: &&Entry| !entry.path.contains("-recovery-");
        self.entries.iter().filter(starts_it).filter(own).find(usual).map(|entry| entry.path.as_str())
    }
}

fn id(line: &str) -> Option<String> {
    let behind = ID_OPTIONS.iter().find_map(|option| line.split_once(option))?.1.trim_start();
    let quote = behind.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let id = match quote {
        Some(quote) => behind.get(1..)?.split(quote).next()?,
        None => behind.split_whitespace().next()?,
    };
    Some(id.to_owned())
}

fn image(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.next().filter(|word| matches!(*word, "linux" | "linux16" | "linuxefi"))?;
    words.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `grub-mkconfig` 2.06 of Debian 12, with two kernels and `GRUB_DEFAULT=saved`.
    const DEBIAN_12: &str = include_str!("../../../tests/fixtures/grub/debian-12.cfg");

    #[test]
    fn an_entry_is_named_with_its_submenu_and_is_that_of_one_kernel() {
        let menu = Menu::parse(DEBIAN_12);
        assert!(menu.takes_saved_entry);
        let disk = "7075255d-a526-479f-a7c0-94737a7a52e8";
        for release in ["6.1.0-50-cloud-amd64", "6.1.0-56-cloud-amd64"] {
            let expected = format!("gnulinux-advanced-{disk}>gnulinux-{release}-advanced-{disk}");
            assert_eq!(menu.entry_of(release), Some(expected.as_str()));
        }
        for unknown in ["6.1.0-5", "6.1.0-50", "6.1.0-99-cloud-amd64"] {
            assert_eq!(menu.entry_of(unknown), None, "{unknown}");
        }
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

    #[test]
    fn what_is_no_menu_has_no_entry() {
        for text in
            ["", "}", "menuentry 'x' {\nlinux", "menuentry 'x' {\n linux /boot/vmlinuz-1 ro\n}", "submenu {{{\n}}}"]
        {
            let menu = Menu::parse(text);
            assert_eq!((menu.entry_of("1"), menu.takes_saved_entry), (None, false), "{text:?}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [include_str!("../../../tests/fixtures/grub/debian-12.cfg")];
        crate::host::hostile::survives(&samples, |text| {
            let menu = Menu::parse(text);
            assert!(menu.entries.iter().all(|entry| !entry.image.is_empty()), "{menu:?}");
        });
    }
}
