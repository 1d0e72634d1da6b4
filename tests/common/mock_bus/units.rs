//! The objects of single units: properties and nothing else.

use zbus::OwnedObjectPath;

use super::systemd1::{MockSystemd, MockUnit, job_path};

pub(super) struct Unit {
    pub(super) mock: MockSystemd,
    pub(super) name: String,
}

impl Unit {
    fn get(&self) -> MockUnit {
        self.mock.state().units.get(&self.name).cloned().unwrap_or_else(MockUnit::not_found)
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn load_state(&self) -> String {
        self.get().load.into()
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        self.get().active.into()
    }
    #[zbus(property)]
    fn sub_state(&self) -> String {
        self.get().sub.into()
    }
    #[zbus(property)]
    fn unit_file_state(&self) -> String {
        "enabled".into()
    }
    #[zbus(property)]
    fn active_enter_timestamp_monotonic(&self) -> u64 {
        self.get().started
    }
    #[zbus(property)]
    fn inactive_exit_timestamp_monotonic(&self) -> u64 {
        self.get().started
    }
    #[zbus(property, name = "InvocationID")]
    fn invocation_id(&self) -> Vec<u8> {
        vec![0x0a, 0xff]
    }
    #[zbus(property)]
    fn after(&self) -> Vec<String> {
        vec!["network.target".into(), "dev-sda1.device".into()]
    }
    #[zbus(property)]
    fn need_daemon_reload(&self) -> bool {
        false
    }
    #[zbus(property)]
    fn drop_in_paths(&self) -> Vec<String> {
        self.mock.state().drop_ins.get(&self.name).cloned().unwrap_or_default()
    }
    #[zbus(property)]
    fn job(&self) -> (u32, OwnedObjectPath) {
        match self.get().job {
            0 => (0, "/".try_into().unwrap()),
            job => (job, job_path(job)),
        }
    }
}

pub(super) struct Service {
    pub(super) mock: MockSystemd,
    pub(super) name: String,
}

impl Service {
    fn get(&self) -> MockUnit {
        self.mock.state().units.get(&self.name).cloned().unwrap_or_else(MockUnit::not_found)
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn result(&self) -> String {
        self.get().result.into()
    }
    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        self.get().main_code
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        self.get().main_status
    }
    #[zbus(property)]
    fn exec_main_start_timestamp_monotonic(&self) -> u64 {
        self.get().started
    }
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.get().main_pid
    }
    #[zbus(property, name = "NRestarts")]
    fn restarts(&self) -> u32 {
        3
    }
    #[zbus(property)]
    fn restart(&self) -> String {
        let held = self.mock.state().drop_ins.get(&self.name).is_some_and(|drop_ins| !drop_ins.is_empty());
        (if held && !self.get().restarts_anyway { "no" } else { "always" }).into()
    }
    #[zbus(property)]
    fn control_group(&self) -> String {
        format!("/system.slice/{}", self.name)
    }
    #[zbus(property, name = "TimeoutStopUSec")]
    fn stop_timeout(&self) -> u64 {
        self.get().stop_timeout
    }
    #[zbus(property, name = "CPUUsageNSec")]
    fn cpu_usage(&self) -> u64 {
        self.get().cpu_nsec
    }
}
