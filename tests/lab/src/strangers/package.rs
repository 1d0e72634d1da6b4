//! A small package, for the repository of a scene.

/// A small package for the repository of a scene.
#[derive(Debug, Clone)]
pub struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) fields: String,
    pub(super) files: Vec<(String, String)>,
    pub(super) copies: Vec<(String, String)>,
    pub(super) scripts: Vec<(&'static str, String)>,
}

impl Package {
    /// A package with nothing in it.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            fields: String::new(),
            files: Vec::new(),
            copies: Vec::new(),
            scripts: Vec::new(),
        }
    }

    /// A line of its control file, as in `Depends: lab-tool`.
    pub fn field(mut self, line: impl AsRef<str>) -> Self {
        self.fields.push_str(line.as_ref().trim());
        self.fields.push('\n');
        self
    }

    /// A file in it.
    pub fn file(mut self, path: impl Into<String>, content: impl Into<String>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }

    /// A file in it that is a copy of one of the machine's, as a program or a library.
    pub fn copy(mut self, path: impl Into<String>, of: impl Into<String>) -> Self {
        self.copies.push((path.into(), of.into()));
        self
    }

    /// One of its scripts (`preinst`, `postinst`, `prerm`, `postrm`) or lists (`conffiles`, `triggers`).
    pub fn script(mut self, which: &'static str, text: impl Into<String>) -> Self {
        self.scripts.push((which, text.into()));
        self
    }
}
