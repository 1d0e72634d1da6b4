//! The properties of units that are read. systemd tells hundreds of each, most of which nobody here wants to know.

use std::collections::HashMap;

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

macro_rules! properties {
    ($($name:ident)*) => {
        /// A property by systemd's own name; see org.freedesktop.systemd1(5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum UnitProperty {
            $($name),*
        }

        impl UnitProperty {
            fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),*
                }
            }
        }
    };
}

properties! {
    ActiveEnterTimestampMonotonic
    ActiveState
    After
    BindsTo
    BoundBy
    BusName
    CPUQuotaPerSecUSec
    CPUUsageNSec
    CPUWeight
    ConditionResult
    ConditionTimestampMonotonic
    ConsistsOf
    ControlGroup
    DropInPaths
    ExecCondition
    ExecMainCode
    ExecMainStartTimestampMonotonic
    ExecMainStatus
    ExecReload
    ExecStart
    ExecStartPost
    ExecStartPre
    ExecStop
    ExecStopPost
    FragmentPath
    IOWeight
    Id
    InactiveExitTimestampMonotonic
    InvocationID
    Job
    LoadState
    MainPID
    MemoryHigh
    NRestarts
    NeedDaemonReload
    PartOf
    PropagatesStopTo
    RefuseManualStart
    RefuseManualStop
    RequiredBy
    Requires
    RequiresMountsFor
    Requisite
    RequisiteOf
    Restart
    RestartUSec
    Result
    RootDirectory
    RootImage
    SourcePath
    StartLimitBurst
    StartLimitIntervalUSec
    SubState
    TimeoutStopUSec
    Transient
    TriggeredBy
    Type
    UnitFileState
    UpheldBy
    WantedBy
    Wants
}

/// Properties of a unit. One that is missing, or of another type, is none: versions of systemd differ.
#[derive(Debug, Default)]
pub(super) struct Properties(HashMap<UnitProperty, OwnedVariant>);

impl Properties {
    /// Keeps what is read of all that systemd told.
    pub(super) fn of(all: HashMap<&str, Variant<'_>>) -> zbus::Result<Self> {
        let read = all.into_iter().filter_map(|(name, value)| Some((UnitProperty::named(name)?, value)));
        let kept = read.map(|(property, value)| Ok((property, value.try_into_owned()?)));
        Ok(Self(kept.collect::<zbus::Result<_>>()?))
    }

    fn value(&self, property: UnitProperty) -> Option<&OwnedVariant> {
        self.0.get(&property)
    }

    fn get<'a, T: TryFrom<&'a OwnedVariant>>(&'a self, property: UnitProperty) -> Option<T> {
        self.value(property).and_then(|value| T::try_from(value).ok())
    }

    fn list<T>(&self, property: UnitProperty) -> Option<Vec<T>>
    where
        Vec<T>: TryFrom<OwnedVariant>,
    {
        self.value(property).and_then(|value| value.try_clone().ok()).and_then(|value| value.try_into().ok())
    }

    pub(super) fn text(&self, property: UnitProperty) -> Option<String> {
        self.get::<&str>(property).map(str::to_owned)
    }

    pub(super) fn flag(&self, property: UnitProperty) -> Option<bool> {
        self.get(property)
    }

    pub(super) fn number(&self, property: UnitProperty) -> Option<u32> {
        self.get(property)
    }

    pub(super) fn signed(&self, property: UnitProperty) -> Option<i32> {
        self.get(property)
    }

    /// A counter or a time; systemd's `u64::MAX` (infinity, or not counted) is none.
    pub(super) fn counter(&self, property: UnitProperty) -> Option<u64> {
        self.get(property).filter(|value| *value != u64::MAX)
    }

    pub(super) fn texts(&self, property: UnitProperty) -> Vec<String> {
        self.list(property).unwrap_or_default()
    }

    /// A list with something in it, whatever that is.
    pub(super) fn is_filled(&self, property: UnitProperty) -> bool {
        let list = self.value(property).and_then(|value| value.downcast_ref::<zbus::Array<'_>>().ok());
        list.is_some_and(|list| !list.is_empty())
    }

    /// Command lines, as `ExecStart` has them: the program by its path, and its arguments.
    pub(super) fn commands(&self, property: UnitProperty) -> Vec<Vec<String>> {
        let list = self.value(property).and_then(|value| value.downcast_ref::<zbus::Array<'_>>().ok());
        let commands = list.iter().flat_map(|list| list.inner());
        let command = |command: &zbus::Variant<'_>| {
            let command = command.downcast_ref::<zbus::Structure<'_>>().ok()?;
            let [path, words, ..] = command.fields() else { return None };
            let words = words.downcast_ref::<zbus::Array<'_>>().ok()?;
            let words = words.inner().iter().skip(1).filter_map(|word| word.downcast_ref::<&str>().ok());
            Some([path.downcast_ref::<&str>().ok()?].into_iter().chain(words).map(str::to_owned).collect())
        };
        commands.filter_map(command).collect()
    }

    pub(super) fn hex(&self, property: UnitProperty) -> String {
        self.list::<u8>(property).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The path of the unit's job; none if it has no job.
    pub(super) fn job(&self) -> Option<OwnedObjectPath> {
        let (id, path) = self.value(UnitProperty::Job)?.try_clone().ok().and_then(|job| {
            let job: zbus::Structure<'static> = job.try_into().ok()?;
            <(u32, OwnedObjectPath)>::try_from(job).ok()
        })?;
        (id != 0).then_some(path)
    }
}
