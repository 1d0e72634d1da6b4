//! `extlinux.conf`, which syslinux and U-Boot read. Pure.

use super::Started;

#[derive(Debug, PartialEq, Eq)]
struct Label {
    name: String,
    image: String,
    initrds: Vec<String>,
}

/// What matters of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Menu {
    default: Option<String>,
    labels: Vec<Label>,
}

impl Menu {
    pub fn parse(text: &str) -> Self {
        let mut menu = Self { default: None, labels: Vec::new() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let Some(word) = words.next().map(str::to_lowercase) else { continue };
            let mut rest = words.map(str::to_owned);
            match (word.as_str(), menu.labels.last_mut()) {
                ("default", _) => menu.default = rest.next(),
                ("label", _) => {
                    let name = rest.next().unwrap_or_default();
                    menu.labels.push(Label { name, image: String::new(), initrds: Vec::new() });
                }
                ("linux" | "kernel", Some(label)) => label.image = rest.next().unwrap_or_default(),
                ("initrd", Some(label)) => {
                    label.initrds.extend(rest.next().unwrap_or_default().split(',').map(str::to_owned));
                }
                _ => {}
            }
        }
        menu.labels.retain(|label| !label.image.is_empty());
        menu
    }

    /// What starts where nobody chooses, whether that is its first label, which is that of the newest kernel, and why.
    pub fn default(&self) -> (Option<Started<'_>>, bool, String) {
        let named = self.default.as_ref().and_then(|name| self.labels.iter().position(|label| label.name == *name));
        let at = named.unwrap_or(0);
        let why = match &self.default {
            Some(name) if named.is_some() => format!("its default is {name}"),
            _ => "its first label is its default".to_owned(),
        };
        let label = self.labels.get(at);
        (label.map(|label| Started { image: &label.image, initrds: &label.initrds }), at == 0, why)
    }

    /// Every kernel that a label starts.
    pub fn images(&self) -> Vec<&str> {
        self.labels.iter().map(|label| label.image.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `u-boot-update` of Debian 12 writes it, shortened.
    const U_BOOT: &str = "## /boot/extlinux/extlinux.conf\ndefault l0\nmenu title U-Boot menu\nprompt 0\ntimeout 50\n\n\
        label l0\n\tmenu label Debian GNU/Linux 12 6.1.0-56-arm64\n\tlinux /boot/vmlinuz-6.1.0-56-arm64\n\
        \tinitrd /boot/initrd.img-6.1.0-56-arm64\n\tappend root=LABEL=root ro quiet\n\n\
        label l1\n\tlinux /boot/vmlinuz-6.1.0-50-arm64\n\tinitrd /boot/initrd.img-6.1.0-50-arm64\n";

    #[test]
    fn the_default_is_a_label_or_the_first() {
        for (default, image, follows) in
            [("default l0", "56", true), ("default l1", "50", false), ("", "56", true), ("default gone", "56", true)]
        {
            let menu = Menu::parse(&U_BOOT.replace("default l0", default));
            let (starts, newest, why) = menu.default();
            let starts = starts.unwrap();
            assert_eq!(
                (starts.image, newest),
                (format!("/boot/vmlinuz-6.1.0-{image}-arm64").as_str(), follows),
                "{why}"
            );
            assert_eq!(starts.initrds.len(), 1);
            assert_eq!(menu.images().len(), 2);
        }
        assert_eq!(Menu::parse("").default().0, None);
    }
}
